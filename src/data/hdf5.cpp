#include "data/hdf5.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "doppio/error.hpp"

#ifdef DOPPIO_HDF5
#include "data/hdf5_handles.hpp"
#endif

namespace doppio {

bool is_hdf5(const std::string& file) {
  constexpr char kSignature[] = "\x89HDF\r\n\x1a\n";
  char head[8] = {};
  std::ifstream(file, std::ios::binary).read(head, sizeof head);
  return std::memcmp(head, kSignature, sizeof head) == 0;
}

#ifndef DOPPIO_HDF5

bool built_with_hdf5() { return false; }

namespace {

[[noreturn]] void refuse(const std::string& file) {
  throw Error(str(file, ": this build of Doppio has no HDF5; install libhdf5-dev and build again"));
}

}  // namespace

std::unique_ptr<Hdf5File> open_hdf5(const std::string& file) { refuse(file); }
std::unique_ptr<Hdf5File> create_hdf5(const std::string& file) { refuse(file); }

#else

bool built_with_hdf5() { return true; }

namespace {

class OpenFile final : public Hdf5File {
 public:
  OpenFile(std::string name, hid_t id) : name_(std::move(name)), id_(id) {}
  ~OpenFile() override {
    const Session session;
    if (id_ >= 0) H5Fclose(id_);
  }

  bool has(const std::string& path) const override {
    const Session session;
    // The library fails, rather than answering no, where a parent is missing.
    for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
      const std::string prefix = path.substr(0, end);
      if (prefix.empty() || prefix == "/") return true;
      if (H5Lexists(id_, prefix.c_str(), H5P_DEFAULT) <= 0 ||
          H5Oexists_by_name(id_, prefix.c_str(), H5P_DEFAULT) <= 0)
        return false;
      if (end == std::string::npos) return true;
    }
  }

  std::vector<std::string> datasets(const std::string& group) const override {
    const Session session;
    std::vector<std::string> paths;
    if (!has(group)) return paths;
    const Id root(H5Oopen(id_, group.c_str(), H5P_DEFAULT), H5Oclose);
    check(root, group, "cannot be opened");
    const auto collect = [](hid_t, const char* path, const H5O_info_t* info, void* out) -> herr_t {
      if (info->type == H5O_TYPE_DATASET)
        static_cast<std::vector<std::string>*>(out)->emplace_back(path);
      return 0;
    };
    check(H5Ovisit(root, H5_INDEX_NAME, H5_ITER_INC, collect, &paths), group, "cannot be listed");
    std::sort(paths.begin(), paths.end());
    return paths;
  }

  Shape shape(const std::string& path) const override {
    const Session session;
    return shape_of(path, open_dataset(path));
  }

  void read(const std::string& path, Tensor& tensor) const override {
    const Session session;
    const Id dataset = open_dataset(path);
    const Id type(H5Dget_type(dataset), H5Tclose);
    const H5T_class_t kind = H5Tget_class(type);
    if (kind != H5T_FLOAT && kind != H5T_INTEGER) fail(path, "holds no numbers");
    const Shape dims = shape_of(path, dataset);
    require_stored(path, dataset, dims.count() * static_cast<Index>(H5Tget_size(type)));
    tensor.reshape(dims);
    if (dims.count() == 0) return;
    check(H5Dread(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, tensor.write_host()),
          path, "cannot be read");
  }

  int read_int(const std::string& path) const override {
    const Session session;
    const Id dataset = open_dataset(path);
    const Id type(H5Dget_type(dataset), H5Tclose);
    if (H5Tget_class(type) != H5T_INTEGER || shape_of(path, dataset).count() != 1)
      fail(path, "is not one integer");
    int value = 0;
    check(H5Dread(dataset, H5T_NATIVE_INT, H5S_ALL, H5S_ALL, H5P_DEFAULT, &value), path,
          "cannot be read");
    return value;
  }

  std::string read_string(const std::string& path) const override {
    const Session session;
    const Id dataset = open_dataset(path);
    const Id type(H5Dget_type(dataset), H5Tclose);
    if (H5Tget_class(type) != H5T_STRING || shape_of(path, dataset).count() != 1)
      fail(path, "is not one string");
    if (H5Tis_variable_str(type) > 0) {
      char* text = nullptr;
      check(H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, &text), path, "cannot be read");
      const std::string value = text ? text : "";
      H5free_memory(text);
      return value;
    }
    const std::size_t size = H5Tget_size(type);
    require_stored(path, dataset, static_cast<Index>(size));
    std::string value(size, '\0');
    check(H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, value.data()), path,
          "cannot be read");
    return value.substr(0, value.find('\0'));
  }

  void write(const std::string& path, const Tensor& tensor) override {
    std::vector<hsize_t> dims;
    for (const Index d : tensor.shape().dims()) dims.push_back(static_cast<hsize_t>(d));
    write_values(path, dims, H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, tensor.read_host());
  }

  void append(const std::string& path, const Tensor& rows) override {
    const Session session;
    std::vector<hsize_t> dims, first(static_cast<std::size_t>(rows.shape().axes()), 0);
    for (const Index d : rows.shape().dims()) dims.push_back(static_cast<hsize_t>(d));
    require(!dims.empty() && rows.count() > 0, name_, ": '", path, "': no rows to append");
    if (has(path)) {
      const Shape there = shape(path);
      require(there.axes() > 0 && there.with(0, rows.shape()[0]) == rows.shape(), name_, ": '",
              path, "' is ", there.text(), " and cannot take rows of ", rows.shape().text());
      first[0] = static_cast<hsize_t>(there[0]);
    } else {
      create_growing(path, dims);
    }
    const Id dataset = open_dataset(path);
    std::vector<hsize_t> grown = dims;
    grown[0] += first[0];
    check(H5Dset_extent(dataset, grown.data()), path, "cannot grow");
    const Id target(H5Dget_space(dataset), H5Sclose);
    H5Sselect_hyperslab(target, H5S_SELECT_SET, first.data(), nullptr, dims.data(), nullptr);
    const Id source(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr),
                    H5Sclose);
    check(H5Dwrite(dataset, H5T_NATIVE_FLOAT, source, target, H5P_DEFAULT, rows.read_host()), path,
          "cannot be written");
    check(H5Fflush(id_, H5F_SCOPE_GLOBAL), path, "cannot be written");
  }

  void write_int(const std::string& path, int value) override {
    write_values(path, {1}, H5T_STD_I32LE, H5T_NATIVE_INT, &value);
  }

  void write_string(const std::string& path, const std::string& value) override {
    const Session session;
    const Id type(H5Tcopy(H5T_C_S1), H5Tclose);
    check(H5Tset_size(type, value.size() + 1), path, "cannot be written");
    write_values(path, {}, type, type, value.c_str());
  }

  void make_group(const std::string& path) override {
    const Session session;
    if (has(path)) return;
    const Id parents = parent_groups();
    const Id group(H5Gcreate2(id_, path.c_str(), parents, H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
    check(group, path, "cannot be created");
  }

  void close() override {
    const Session session;
    const herr_t flushed = H5Fflush(id_, H5F_SCOPE_GLOBAL);
    const std::string reason = flushed < 0 ? last_reason() : "";
    const herr_t closed = H5Fclose(std::exchange(id_, -1));
    require(flushed >= 0 && closed >= 0, "cannot write ", name_, reason);
  }

 private:
  [[noreturn]] void fail(const std::string& path, const std::string& what) const {
    throw Error(str(name_, ": '", path, "' ", what));
  }
  void check(std::int64_t status, const std::string& path, const std::string& what) const {
    if (status < 0) fail(path, what + last_reason());
  }

  Id open_dataset(const std::string& path) const {
    if (!has(path)) throw Error(str(name_, " has no dataset '", path, "'"));
    Id dataset(H5Dopen2(id_, path.c_str(), H5P_DEFAULT), H5Dclose);
    if (dataset < 0) fail(path, "is a group, not a dataset");
    // Else a crafted file could show us other files of this machine.
    const Id properties(H5Dget_create_plist(dataset), H5Pclose);
    if (H5Pget_layout(properties) == H5D_VIRTUAL || H5Pget_external_count(properties) > 0)
      fail(path, "keeps its data in another file, which is not supported");
    return dataset;
  }

  Shape shape_of(const std::string& path, hid_t dataset) const {
    const Id space(H5Dget_space(dataset), H5Sclose);
    if (H5Sget_simple_extent_type(space) == H5S_NULL) fail(path, "is empty");
    hsize_t dims[H5S_MAX_RANK] = {};
    const int axes = H5Sget_simple_extent_dims(space, dims, nullptr);
    check(axes, path, "has no shape");
    for (int i = 0; i < axes; ++i)
      if (dims[i] > static_cast<hsize_t>(Shape::kMaxCount)) fail(path, "is too large");
    return Shape(std::vector<Index>(dims, dims + axes));
  }

  /// Refuses a dataset whose declared size the file cannot hold; compression gains at most 1032.
  void require_stored(const std::string& path, hid_t dataset, Index bytes) const {
    if (bytes / 1100 > static_cast<Index>(H5Dget_storage_size(dataset)))
      fail(path, str("declares ", bytes, " bytes but stores ", H5Dget_storage_size(dataset)));
  }

  Id parent_groups() const {
    Id parents(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
    H5Pset_create_intermediate_group(parents, 1);
    return parents;
  }

  /// A dataset without rows that can be extended, in chunks of `dims`.
  void create_growing(const std::string& path, const std::vector<hsize_t>& dims) {
    const int axes = static_cast<int>(dims.size());
    std::vector<hsize_t> none = dims, most = dims;
    none[0] = 0;
    most[0] = H5S_UNLIMITED;
    const Id parents = parent_groups();
    const Id chunks(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    check(H5Pset_chunk(chunks, axes, dims.data()), path, "cannot be created");
    const Id space(H5Screate_simple(axes, none.data(), most.data()), H5Sclose);
    const Id dataset(
        H5Dcreate2(id_, path.c_str(), H5T_IEEE_F32LE, space, parents, chunks, H5P_DEFAULT),
        H5Dclose);
    check(dataset, path, "cannot be created");
  }

  void write_values(const std::string& path, const std::vector<hsize_t>& dims, hid_t file_type,
                    hid_t memory_type, const void* values) {
    const Session session;
    const Id parents = parent_groups();
    const Id space(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr), H5Sclose);
    const Id dataset(
        H5Dcreate2(id_, path.c_str(), file_type, space, parents, H5P_DEFAULT, H5P_DEFAULT),
        H5Dclose);
    check(dataset, path, "cannot be created");
    check(H5Dwrite(dataset, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), path,
          "cannot be written");
  }

  std::string name_;
  hid_t id_;
};

Id file_access() {
  Id access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
#if H5_VERSION_GE(1, 10, 7)
  H5Pset_file_locking(access, false, true);  // network file systems often have no locks
#endif
  return access;
}

}  // namespace

std::unique_ptr<Hdf5File> open_hdf5(const std::string& file) {
  const bool readable = std::ifstream(file).good();
  require(readable, "cannot open ", file, ": ", std::strerror(errno));
  require(is_hdf5(file), file, " is not an HDF5 file");
  const Session session;
  const Id access = file_access();
  Id id(H5Fopen(file.c_str(), H5F_ACC_RDONLY, access), H5Fclose);
  require(id >= 0, "cannot open ", file, last_reason());
  return std::make_unique<OpenFile>(file, id.release());
}

std::unique_ptr<Hdf5File> create_hdf5(const std::string& file) {
  const Session session;
  const Id access = file_access();
  Id id(H5Fcreate(file.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access), H5Fclose);
  require(id >= 0, "cannot create ", file, last_reason());
  return std::make_unique<OpenFile>(file, id.release());
}

#endif

}  // namespace doppio
