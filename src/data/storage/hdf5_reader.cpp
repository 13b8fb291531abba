#include <algorithm>
#include <limits>

#include "data/storage/hdf5.hpp"
#include "data/storage/hdf5_checks.hpp"
#include "data/storage/hdf5_handles.hpp"
#include "io/regular_file.hpp"
#include "io/sha256.hpp"

namespace doppio {

namespace {

constexpr std::size_t kMaxDepth = 64;      // nesting of groups
constexpr std::size_t kMaxNames = 200000;  // in all groups of a listing

/// Returns the name of a type class other than integers and floating-point numbers.
std::string kind_of(hid_t type) {
  switch (H5Tget_class(type)) {
    case H5T_ENUM: {
      signed char no = 0, yes = 0;
      const bool is_bool = H5Tget_nmembers(type) == 2 && H5Tget_size(type) == 1 &&
                           H5Tenum_valueof(type, "FALSE", &no) >= 0 &&
                           H5Tenum_valueof(type, "TRUE", &yes) >= 0 && no == 0 && yes == 1;
      return is_bool ? "bool (an enum)" : "enum";
    }
    case H5T_STRING:
      return "string";
    case H5T_BITFIELD:
      return "bitfield";
    case H5T_OPAQUE:
      return "opaque bytes";
    case H5T_COMPOUND:
      return "compound (a struct or a complex number)";
    case H5T_REFERENCE:
      return "reference";
    case H5T_VLEN:
      return "variable-length rows";
    case H5T_ARRAY:
      return "arrays";
    case H5T_TIME:
      return "time";
    default:
      return "an unknown kind";
  }
}

class Reader final : public Hdf5Reader {
 public:
  Reader(const std::string& file, Id id)
      : name_{file, "it is damaged "}, file_(std::move(id)), links_(link_access(&linked_file_)) {}
  ~Reader() override {
    const Session session;
    links_.close();
    file_.close();
  }

  bool has(const std::string& path) const override {
    const Session session;
    // The library reports an error instead of false if a parent group is missing.
    for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
      const std::string prefix = path.substr(0, end);
      if (prefix.empty() || prefix == "/") return true;
      if (!has_link(prefix)) return false;
      if (end == std::string::npos) return true;
    }
  }

  std::vector<std::string> datasets(const std::string& group) const override {
    const Session session;
    std::vector<std::string> found, groups;
    if (has(group)) groups.push_back("");
    std::size_t names = 0;
    while (!groups.empty()) {
      const std::string inner = groups.back();
      groups.pop_back();
      for (const std::string& name : names_in(group + inner)) {
        if (++names > kMaxNames) name_.fail(group, str("has more than ", kMaxNames, " members"));
        const std::string path = str(inner, "/", name);
        if (!has_link(group + path)) continue;
        const Id object = open(group + path);
        if (H5Iget_type(object) == H5I_DATASET) found.push_back(path.substr(1));
        if (H5Iget_type(object) == H5I_GROUP) groups.push_back(path);
        if (depth(path) > kMaxDepth)
          name_.fail(group, str("has groups nested more than ", kMaxDepth, " deep"));
      }
    }
    std::sort(found.begin(), found.end());
    return found;
  }

  Shape shape(const std::string& path) const override {
    const Session session;
    return checked_shape(path, open_dataset(path), Unwritten::fill_value);
  }

  void read(const std::string& path, Tensor& tensor, Unwritten unwritten) const override {
    const Session session;
    const Id dataset = open_dataset(path);
    const Shape dims = checked_shape(path, dataset, unwritten);
    tensor.reshape(dims);
    if (dims.count() > 0) read_values(path, dataset, H5T_NATIVE_FLOAT, tensor.write_host());
    if (H5Tequal(Id(H5Dget_type(dataset), H5Tclose), H5T_IEEE_F32LE) > 0)  // as Hdf5Writer stores
      check_values(path, dataset, tensor.read_host(), static_cast<std::size_t>(tensor.bytes()));
  }

  int read_int(const std::string& path) const override {
    const Session session;
    const Id dataset = open_dataset(path);
    if (class_of(dataset) != H5T_INTEGER || shape_of(path, dataset).count() != 1)
      name_.fail(path, "is not one integer");
    require_readable(name_, path, dataset, 1, Unwritten::error);
    long long value = 0;
    read_values(path, dataset, H5T_NATIVE_LLONG, &value);
    if (value < std::numeric_limits<int>::min() || value > std::numeric_limits<int>::max())
      name_.fail(path, str("is ", value, ", which is out of range"));
    const int result = static_cast<int>(value);
    check_values(path, dataset, &result, sizeof result);
    return result;
  }

  std::string read_string(const std::string& path) const override {
    const Session session;
    const Id dataset = open_dataset(path);
    const Id type(H5Dget_type(dataset), H5Tclose);
    if (H5Tget_class(type) != H5T_STRING || shape_of(path, dataset).count() != 1)
      name_.fail(path, "is not one string");
    require_readable(name_, path, dataset, 1, Unwritten::error);
    if (H5Tis_variable_str(type) > 0) {
      char* text = nullptr;
      read_values(path, dataset, type, static_cast<void*>(&text));
      const std::string value = text ? text : "";
      H5free_memory(text);
      return value;
    }
    std::string value(H5Tget_size(type), '\0');
    read_values(path, dataset, type, value.data());
    check_values(path, dataset, value.data(), value.size());
    return value.substr(0, value.find('\0'));
  }

 private:
  // ---- Links ----

  /// Returns link access properties that keep the library from opening other files, to which a
  /// crafted file may link. An attempt fails and stores the file's name in `linked_file`.
  static Id link_access(std::string* linked_file) {
    const Session session;
    Id access(H5Pcreate(H5P_LINK_ACCESS), H5Pclose);
    const auto refuse = [](const char*, const char*, const char* file, const char*, unsigned*,
                           hid_t, void* note) -> herr_t {
      *static_cast<std::string*>(note) = file;
      return -1;
    };
    H5Pset_elink_cb(access, refuse, linked_file);
    return access;
  }

  /// Returns whether the link of this name, in an existing group, leads to an object.
  bool has_link(const std::string& path) const {
    linked_file_.clear();
    if (H5Lexists(file_, path.c_str(), links_) <= 0) return false;
    const htri_t leads = H5Oexists_by_name(file_, path.c_str(), links_);
    if (!linked_file_.empty())
      name_.fail(path, str("is a link to another file ('", linked_file_,
                           "'), which is not supported; copy the data into this file"));
    if (leads < 0) name_.fail(path, "is a link that cannot be followed");
    return leads > 0;
  }

  Id open(const std::string& path) const {
    Id object(H5Oopen(file_, path.c_str(), links_), H5Oclose);
    name_.check(object, path, "cannot be opened");
    return object;
  }

  std::vector<std::string> names_in(const std::string& group) const {
    std::vector<std::string> names;
    const Id id = open(group);
    const auto collect = [](hid_t, const char* name, const H5L_info_t*, void* out) -> herr_t {
      static_cast<std::vector<std::string>*>(out)->emplace_back(name);
      return 0;
    };
    hsize_t first = 0;
    if (H5Iget_type(id) == H5I_GROUP)
      name_.check(H5Literate(id, H5_INDEX_NAME, H5_ITER_INC, &first, collect, &names), group,
                  "cannot be listed");
    return names;
  }

  static std::size_t depth(const std::string& path) {
    return static_cast<std::size_t>(std::count(path.begin(), path.end(), '/'));
  }

  // ---- Datasets ----

  Id open_dataset(const std::string& path) const {
    if (!has(path)) throw Error(str(name_.file, " has no dataset '", path, "'"));
    Id dataset = open(path);
    if (H5Iget_type(dataset) != H5I_DATASET) name_.fail(path, "is a group, not a dataset");
    return dataset;
  }

  static H5T_class_t class_of(hid_t dataset) {
    return H5Tget_class(Id(H5Dget_type(dataset), H5Tclose));
  }

  Shape shape_of(const std::string& path, hid_t dataset) const {
    const Id space(H5Dget_space(dataset), H5Sclose);
    if (H5Sget_simple_extent_type(space) == H5S_NULL) name_.fail(path, "is empty");
    hsize_t dims[H5S_MAX_RANK] = {};
    const int axes = H5Sget_simple_extent_dims(space, dims, nullptr);
    name_.check(axes, path, "has no shape");
    for (int i = 0; i < axes; ++i)
      if (dims[i] > static_cast<hsize_t>(Shape::kMaxCount)) name_.fail(path, "is too large");
    try {
      return Shape(std::vector<Index>(dims, dims + axes));
    } catch (const Error& e) {
      name_.fail(path, "is too large: " + e.message());
    }
  }

  /// Returns the shape of a dataset after checking that its numbers can be read.
  Shape checked_shape(const std::string& path, hid_t dataset, Unwritten unwritten) const {
    const Id type(H5Dget_type(dataset), H5Tclose);
    const H5T_class_t kind = H5Tget_class(type);
    if (kind != H5T_FLOAT && kind != H5T_INTEGER)
      name_.fail(path, "is of type " + kind_of(type) + "; store it as uint8 or float32");
    const Shape dims = shape_of(path, dataset);
    require_readable(name_, path, dataset, static_cast<std::uint64_t>(dims.count()), unwritten);
    return dims;
  }

  void read_values(const std::string& path, hid_t dataset, hid_t type, void* values) const {
    name_.check(H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), path,
                "cannot be read");
  }

  /// Compares values with the checksum that Hdf5Writer stored, if any.
  void check_values(const std::string& path, hid_t dataset, const void* values,
                    std::size_t bytes) const {
    if (H5Aexists(dataset, kHdf5Checksum) <= 0) return;
    const Id attribute(H5Aopen(dataset, kHdf5Checksum, H5P_DEFAULT), H5Aclose);
    const Id type(H5Aget_type(attribute), H5Tclose), space(H5Aget_space(attribute), H5Sclose);
    std::string stored(2 * Sha256::kBytes, '\0');
    if (H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0 &&
        H5Tget_size(type) == stored.size() && H5Sget_simple_extent_npoints(space) == 1)
      H5Aread(attribute, type, stored.data());
    if (stored != sha256_hex(values, bytes))
      throw Error(str(name_.file, " is damaged: the values of '", path,
                      "' differ from their checksum; use another copy. If they were changed on "
                      "purpose, delete attribute ",
                      kHdf5Checksum, " of the dataset"));
  }

  Hdf5Name name_;
  Id file_;
  mutable std::string linked_file_;  // set by an external link
  Id links_;
};

}  // namespace

std::unique_ptr<Hdf5Reader> open_hdf5(const std::string& file) {
  const RegularFile readable(file);
  require(is_hdf5(file), file, " is not an HDF5 file");
  const Session session;
  const Id access = file_access();
  Id id(H5Fopen(file.c_str(), H5F_ACC_RDONLY, access), H5Fclose);
  require(id >= 0, "cannot open ", file, last_reason("it is damaged "));
  return std::make_unique<Reader>(file, std::move(id));
}

}  // namespace doppio
