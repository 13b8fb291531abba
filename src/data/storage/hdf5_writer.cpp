#include <algorithm>
#include <ostream>

#include "data/storage/hdf5.hpp"
#include "data/storage/hdf5_handles.hpp"
#include "io/atomic_file.hpp"
#include "io/sha256.hpp"

namespace doppio {

namespace {

using Dims = std::vector<hsize_t>;

Dims dims_of(const Shape& shape) { return Dims(shape.dims().begin(), shape.dims().end()); }

Id make_space(const Dims& dims, const Dims* most = nullptr) {
  return {
      H5Screate_simple(static_cast<int>(dims.size()), dims.data(), most ? most->data() : nullptr),
      H5Sclose};
}

/// Returns link creation properties that create missing parent groups.
Id with_parents() {
  Id parents(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
  H5Pset_create_intermediate_group(parents, 1);
  return parents;
}

/// Returns dataset creation properties without a time stamp, so that files are reproducible.
Id dataset_creation() {
  Id creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_obj_track_times(creation, false);
  return creation;
}

// ---- A file in memory ----

class Writer final : public Hdf5Writer {
 public:
  explicit Writer(const std::string& file) : name_{file}, file_(create(file)) {}
  ~Writer() override {
    const Session session;
    file_.close();
  }

  void write(const std::string& path, const Tensor& tensor) override {
    write_values(path, dims_of(tensor.shape()), H5T_IEEE_F32LE, H5T_NATIVE_FLOAT,
                 tensor.read_host(), static_cast<std::size_t>(tensor.bytes()));
  }

  void write_int(const std::string& path, int value) override {
    write_values(path, {1}, H5T_STD_I32LE, H5T_NATIVE_INT, &value, sizeof value);
  }

  void write_string(const std::string& path, const std::string& value) override {
    const Session session;
    const Id type = string_type(path, value.size() + 1);
    write_values(path, {}, type, type, value.c_str(), value.size() + 1);
  }

  void make_group(const std::string& path) override {
    const Session session;
    if (H5Lexists(file_, path.c_str(), H5P_DEFAULT) > 0) return;
    const Id parents = with_parents();
    Id group(H5Gcreate2(file_, path.c_str(), parents, H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
    name_.check(group, path, "cannot be created");
    name_.check(group.close(), path, "cannot be written");
  }

  std::string close() override {
    const Session session;
    name_.check(H5Fflush(file_, H5F_SCOPE_GLOBAL), "/", "cannot be completed");
    // The core driver's handle is the address of its memory. H5Fget_file_image() would copy it.
    void** memory = nullptr;
    name_.check(H5Fget_vfd_handle(file_, H5P_DEFAULT, reinterpret_cast<void**>(&memory)), "/",
                "cannot be completed");
    const ssize_t size = H5Fget_file_image(file_, nullptr, 0);
    name_.check(size, "/", "cannot be completed");
    const auto bytes = static_cast<std::size_t>(size);
    write_file_atomically(name_.file, [&](std::ostream& out) {
      out.write(static_cast<const char*>(*memory), static_cast<std::streamsize>(bytes));
    });
    const std::string sha256 = sha256_hex(*memory, bytes);
    file_.close();
    return sha256;
  }

 private:
  static Id create(const std::string& file) {
    const Session session;
    constexpr std::size_t kGrowth = std::size_t{1} << 20;
    const Id access = file_access();
    H5Pset_fapl_core(access, kGrowth, false);
    // Not the real name: the library would read an existing file first.
    const std::string name = file + ".in-memory";
    Id id(H5Fcreate(name.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access), H5Fclose);
    require(id >= 0, "cannot create ", file, last_reason());
    return id;
  }

  Id string_type(const std::string& path, std::size_t bytes) const {
    Id type(H5Tcopy(H5T_C_S1), H5Tclose);
    name_.check(H5Tset_size(type, bytes), path, "cannot be written");
    return type;
  }

  void write_values(const std::string& path, const Dims& dims, hid_t file_type, hid_t memory_type,
                    const void* values, std::size_t bytes) {
    const Session session;
    const Id parents = with_parents(), creation = dataset_creation(), space = make_space(dims);
    Id dataset(H5Dcreate2(file_, path.c_str(), file_type, space, parents, creation, H5P_DEFAULT),
               H5Dclose);
    name_.check(dataset, path, "cannot be created");
    name_.check(H5Dwrite(dataset, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), path,
                "cannot be written");
    write_checksum(path, dataset, sha256_hex(values, bytes));
    name_.check(dataset.close(), path, "cannot be written");
  }

  void write_checksum(const std::string& path, hid_t dataset, const std::string& sha256) {
    const Id type = string_type(path, sha256.size()), space(H5Screate(H5S_SCALAR), H5Sclose);
    Id attribute(H5Acreate2(dataset, kHdf5Checksum, type, space, H5P_DEFAULT, H5P_DEFAULT),
                 H5Aclose);
    name_.check(attribute, path, "cannot get a checksum");
    name_.check(H5Awrite(attribute, type, sha256.data()), path, "cannot get a checksum");
    name_.check(attribute.close(), path, "cannot get a checksum");
  }

  Hdf5Name name_;
  Id file_;
};

// ---- A file that grows ----

class Appender final : public Hdf5Appender {
 public:
  Appender(const std::string& file, const std::string& shown_as)
      : name_{shown_as}, file_(create(file, shown_as)) {}
  ~Appender() override {
    const Session session;
    file_.close();
  }

  void append(const std::string& path, const Tensor& rows) override {
    const Session session;
    const Dims dims = dims_of(rows.shape());
    require(!dims.empty() && rows.count() > 0, name_.file, ": '", path, "': no rows to append");
    const bool is_new = H5Lexists(file_, path.c_str(), H5P_DEFAULT) <= 0;
    Id dataset = is_new ? create_growing(path, dims)
                        : Id(H5Dopen2(file_, path.c_str(), H5P_DEFAULT), H5Dclose);
    name_.check(dataset, path, "cannot be opened");
    const Shape there = shape_of(dataset);
    require(there.with(0, rows.shape()[0]) == rows.shape(), name_.file, ": '", path, "' is ",
            there.text(), " and cannot take rows of ", rows.shape().text());
    Dims first(dims.size(), 0), grown = dims;
    first[0] = static_cast<hsize_t>(there[0]);
    grown[0] += first[0];
    name_.check(H5Dset_extent(dataset, grown.data()), path, "cannot grow");
    const Id target(H5Dget_space(dataset), H5Sclose), source = make_space(dims);
    H5Sselect_hyperslab(target, H5S_SELECT_SET, first.data(), nullptr, dims.data(), nullptr);
    name_.check(H5Dwrite(dataset, H5T_NATIVE_FLOAT, source, target, H5P_DEFAULT, rows.read_host()),
                path, "cannot be written");
    name_.check(dataset.close(), path, "cannot be written");
    name_.check(H5Fflush(file_, H5F_SCOPE_GLOBAL), path, "cannot be written");
  }

 private:
  static Id create(const std::string& file, const std::string& shown_as) {
    const Session session;
    const Id access = file_access();
    Id id(H5Fcreate(file.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access), H5Fclose);
    require(id >= 0, "cannot create ", shown_as, last_reason());
    return id;
  }

  static Shape shape_of(hid_t dataset) {
    const Id space(H5Dget_space(dataset), H5Sclose);
    hsize_t dims[H5S_MAX_RANK] = {};
    const int axes = H5Sget_simple_extent_dims(space, dims, nullptr);
    return Shape(std::vector<Index>(dims, dims + std::max(axes, 0)));
  }

  /// Creates an extensible dataset without rows, in chunks of `dims`.
  Id create_growing(const std::string& path, const Dims& dims) {
    Dims none = dims, most = dims;
    none[0] = 0;
    most[0] = H5S_UNLIMITED;
    const Id parents = with_parents(), chunks = dataset_creation(), space = make_space(none, &most);
    name_.check(H5Pset_chunk(chunks, static_cast<int>(dims.size()), dims.data()), path,
                "cannot be created");
    return {H5Dcreate2(file_, path.c_str(), H5T_IEEE_F32LE, space, parents, chunks, H5P_DEFAULT),
            H5Dclose};
  }

  Hdf5Name name_;
  Id file_;
};

}  // namespace

std::unique_ptr<Hdf5Writer> create_hdf5(const std::string& file) {
  return std::make_unique<Writer>(file);
}

std::unique_ptr<Hdf5Appender> append_hdf5(const std::string& file, const std::string& shown_as) {
  return std::make_unique<Appender>(file, shown_as);
}

}  // namespace doppio
