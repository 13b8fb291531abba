#include "io/atomic_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <random>
#include <streambuf>
#include <vector>

#include "doppio/error.hpp"

namespace doppio {

namespace {

std::function<int(FileStep)>& hook() {
  static std::function<int(FileStep)> before;
  return before;
}

int injected(FileStep step) { return hook() ? hook()(step) : 0; }

[[noreturn]] void fail(const std::string& path, const char* what, int error) {
  throw Error(str("cannot ", what, " '", path, "': ", std::strerror(error),
                  error == ENOSPC || error == EDQUOT ? "; free some space" : ""));
}

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path();
  return folder.empty() ? "." : folder;
}

int open_retrying(const char* path, int flags) {
  int fd = -1;
  do fd = ::open(path, flags | O_CLOEXEC, 0666);
  while (fd < 0 && errno == EINTR);
  return fd;
}

constexpr std::string_view kMark = ".partial-";

/// True for names of Temporary files whose destination's name begins with `stem`.
bool is_temporary(std::string_view name, std::string_view stem) {
  const std::size_t mark = name.rfind(kMark);
  if (!name.starts_with(stem) || mark == name.npos || mark < stem.size()) return false;
  const std::string_view number = name.substr(mark + kMark.size());
  return !number.empty() && number.size() <= 8 &&
         number.find_first_not_of("0123456789abcdef") == number.npos;
}

/// Removes temporary files that killed processes left for paths that begin with `prefix`: those
/// that no process has locked. They stay on file systems without locks.
void remove_leftovers(const std::string& prefix) {
  const std::string stem = std::filesystem::path(prefix).filename();
  std::error_code ignored;
  for (std::filesystem::directory_iterator entry(folder_of(prefix), ignored), end;
       !ignored && entry != end; entry.increment(ignored)) {
    const std::string name = entry->path().filename();
    if (!is_temporary(name, stem)) continue;
    const int fd = open_retrying(entry->path().c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0) continue;
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) ::unlink(entry->path().c_str());
    ::close(fd);
  }
}

/// A temporary file in its destination's folder, removed unless it is renamed to the destination.
class Temporary {
 public:
  explicit Temporary(const std::string& path) : path_(path) {
    if (const int error = injected(FileStep::open)) fail(path_, "create", error);
    remove_leftovers(path);
    std::random_device random;
    do {
      if (fd_ >= 0) ::close(fd_);
      name_ = str(path, kMark, std::hex, random());
      fd_ = open_retrying(name_.c_str(), O_WRONLY | O_CREAT | O_EXCL);
      if (fd_ < 0 && errno != EEXIST) fail(path_, "create", errno);
    } while (fd_ < 0 || !lock());
  }
  ~Temporary() {
    if (fd_ >= 0) ::close(fd_);
    if (!name_.empty()) ::unlink(name_.c_str());
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;

  const std::string& name() const { return name_; }

  /// Returns 0 or an errno.
  int append(const char* bytes, std::size_t count) {
    const int error = injected(FileStep::write);
    std::size_t wanted = error ? count / 2 : count;
    while (wanted > 0) {
      const ssize_t written = ::write(fd_, bytes, wanted);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return errno;
      bytes += written;
      wanted -= static_cast<std::size_t>(written);
    }
    return error;
  }

  void move_to_destination() {
    if (const int error = sync(fd_, FileStep::sync)) fail(path_, "write", error);
    const int closed = ::close(fd_);
    fd_ = -1;
    if (closed != 0 && errno != EINTR) fail(path_, "write", errno);
    int error = injected(FileStep::rename);
    if (!error && ::rename(name_.c_str(), path_.c_str()) != 0) error = errno;
    if (error) fail(path_, "replace", error);
    name_.clear();
    const int folder = open_retrying(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY);
    error = folder < 0 ? errno : sync(folder, FileStep::sync_folder);
    if (folder >= 0) ::close(folder);
    if (error) fail(folder_of(path_), "sync folder", error);
  }

 private:
  /// Locks the file until it is closed. Returns false if another process already removed it as a
  /// leftover.
  bool lock() const {
    struct stat status {};
    ::flock(fd_, LOCK_EX);
    return ::fstat(fd_, &status) != 0 || status.st_nlink > 0;
  }

  /// Ignores EINVAL, with which some network and FUSE file systems refuse to sync.
  static int sync(int fd, FileStep step) {
    if (const int error = injected(step)) return error;
    return ::fsync(fd) != 0 && errno != EINVAL ? errno : 0;
  }

  std::string path_, name_;
  int fd_ = -1;
};

/// Writes to the file in large chunks and stores the first error.
class Buffer final : public std::streambuf {
 public:
  explicit Buffer(Temporary& file) : file_(file), bytes_(std::size_t{1} << 20) { rewind(); }
  int error() const { return error_; }

 protected:
  int_type overflow(int_type c) override {
    if (sync() != 0) return traits_type::eof();
    if (!traits_type::eq_int_type(c, traits_type::eof())) {
      *pptr() = traits_type::to_char_type(c);
      pbump(1);
    }
    return traits_type::not_eof(c);
  }

  int sync() override {
    if (!error_ && pptr() > pbase())
      error_ = file_.append(pbase(), static_cast<std::size_t>(pptr() - pbase()));
    rewind();
    return error_ ? -1 : 0;
  }

 private:
  void rewind() { setp(bytes_.data(), bytes_.data() + bytes_.size()); }

  Temporary& file_;
  std::vector<char> bytes_;
  int error_ = 0;
};

}  // namespace

void set_file_step_hook(std::function<int(FileStep)> before) { hook() = std::move(before); }

void write_file_atomically(const std::string& path,
                           const std::function<void(std::ostream&)>& write) {
  Temporary file(path);
  Buffer buffer(file);
  std::ostream stream(&buffer);
  write(stream);
  stream.flush();
  if (buffer.error()) fail(path, "write", buffer.error());
  require(stream.good(), "cannot write '", path, "': its contents could not be produced");
  file.move_to_destination();
}

void write_named_file_atomically(const std::string& path,
                                 const std::function<void(const std::string&)>& write) {
  Temporary file(path);
  if (const int error = injected(FileStep::write)) fail(path, "write", error);
  write(file.name());
  file.move_to_destination();
}

void require_writable(const std::string& prefix) {
  try {
    Temporary probe(prefix);
  } catch (const Error& e) {
    const std::string folder = folder_of(prefix);
    std::error_code unknown;
    const bool exists = std::filesystem::is_directory(folder, unknown);
    throw Error(str(e.message(), exists ? "; make folder '" : "; create folder '", folder,
                    exists ? "' writable or choose another prefix" : "' first"));
  }
}

}  // namespace doppio
