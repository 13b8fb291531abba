#pragma once
#include <hdf5.h>

#include <mutex>
#include <string>
#include <utility>

#include "doppio/error.hpp"

namespace doppio {

/// Name of the attribute with the SHA-256 of a dataset's values.
inline constexpr char kHdf5Checksum[] = "doppio_sha256";

/// Held during every call, since the library may not be thread-safe. Also disables its error
/// output.
class Session {
 public:
  Session() : lock_(mutex()) {
    // At exit the library crashes if files could not be closed because the disk is full.
    [[maybe_unused]] static const herr_t no_exit_handler = H5dont_atexit();
    H5Eget_auto2(H5E_DEFAULT, &print_, &print_argument_);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }
  ~Session() { H5Eset_auto2(H5E_DEFAULT, print_, print_argument_); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

 private:
  static std::recursive_mutex& mutex() {
    static std::recursive_mutex m;
    return m;
  }
  std::lock_guard<std::recursive_mutex> lock_;
  H5E_auto2_t print_ = nullptr;
  void* print_argument_ = nullptr;
};

/// Closes an HDF5 id at the end of its scope.
class Id {
 public:
  Id(hid_t id, herr_t (*closer)(hid_t)) : id_(id), close_(closer) {}
  ~Id() { close(); }
  Id(Id&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Id& operator=(const Id&) = delete;
  operator hid_t() const { return id_; }

  /// Closes the id now. A negative result means an error; after writing, values are lost.
  herr_t close() { return id_ < 0 ? 0 : close_(std::exchange(id_, -1)); }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

/// Returns why the library's last call failed, without addresses and offsets. Other
/// reasons in HDF5's own terms are preceded by `guess`, such as "it is damaged ".
inline std::string last_reason(const std::string& guess = {}) {
  std::string text;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_UPWARD,
      [](unsigned n, const H5E_error2_t* error, void* out) -> herr_t {
        if (n == 0 && error->desc) *static_cast<std::string*>(out) = error->desc;
        return 0;
      },
      &text);
  constexpr std::string_view kSystem = "error message = '";
  if (const auto at = text.find(kSystem); at != text.npos) {
    text.erase(0, at + kSystem.size());
    return ": " + text.substr(0, text.find('\''));
  }
  if (text.starts_with("truncated file")) return ": it is cut short";
  text = text.substr(0, text.find_first_of(",:="));
  if (text.find("version number") != text.npos)
    return ": a newer version of HDF5 wrote it (" + text + ")";
  return text.empty() ? text : ": " + guess + "(HDF5: " + text + ")";
}

/// The name of a file for error messages.
struct Hdf5Name {
  std::string file;
  std::string guess = {};  // for last_reason()

  [[noreturn]] void fail(const std::string& path, const std::string& what) const {
    throw Error(str(file, ": '", path, "' ", what));
  }
  void check(std::int64_t status, const std::string& path, const std::string& what) const {
    if (status < 0) fail(path, what + last_reason(guess));
  }
};

/// Returns the file access properties.
inline Id file_access() {
  Id access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
#if H5_VERSION_GE(1, 10, 7)
  H5Pset_file_locking(access, false, true);  // network file systems often have no locks
#endif
  return access;
}

}  // namespace doppio
