#pragma once
#include <cstdint>
#include <string>

namespace doppio {

/// A regular file, open for reading at any offset.
class RegularFile {
 public:
  /// Throws: Error if `path` cannot be opened, or names a folder, a device or a pipe. Never blocks.
  explicit RegularFile(const std::string& path);
  ~RegularFile();
  RegularFile(const RegularFile&) = delete;
  RegularFile& operator=(const RegularFile&) = delete;

  /// Size in bytes when the file was opened.
  std::uint64_t size() const { return size_; }
  int descriptor() const { return fd_; }

  /// Reads `bytes` from offset `at` on. Returns the number read, which is less at the end of the
  /// file. Throws: Error with the system's reason.
  std::size_t read_at(std::uint64_t at, void* to, std::size_t bytes) const;

 private:
  std::string path_;
  int fd_ = -1;
  std::uint64_t size_ = 0;
};

}  // namespace doppio
