#include "core/input_file.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "doppio/error.hpp"

namespace doppio {

namespace {

constexpr int kPipePatienceMs = 60'000;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

[[noreturn]] void fail(const std::string& path, int error) {
  std::string where;
  if (error == ENOENT) {
    std::error_code unknown;
    where = str(" (working directory ", std::filesystem::current_path(unknown).string(), ")");
  }
  throw Error(str("cannot read ", printable(path), ": ", std::strerror(error), where));
}

/// What a path names that is no file; empty for files and pipes.
std::string_view other_kind(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISREG(mode) || S_ISFIFO(mode)) return {};
  return S_ISSOCK(mode) ? "a socket" : "a device";
}

/// Waits until a pipe has something to read or was closed by its writers.
void await(int pipe, const std::string& path) {
  pollfd wanted{pipe, POLLIN, 0};
  const int ready = ::poll(&wanted, 1, kPipePatienceMs);
  require(ready != 0, printable(path), " is a pipe into which nothing was written for ",
          kPipePatienceMs / 1000, " s");
  if (ready < 0 && errno != EINTR) fail(path, errno);
}

/// The number of bytes of the UTF-8 character that `text` begins with; 0 if it begins with none.
std::size_t utf8_length(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  const std::size_t length = first < 0x80                    ? 1
                             : first >= 0xC2 && first < 0xE0 ? 2
                             : first >= 0xE0 && first < 0xF0 ? 3
                             : first >= 0xF0 && first < 0xF5 ? 4
                                                             : 0;
  if (length == 0 || text.size() < length) return 0;
  const std::string_view rest = text.substr(1, length - 1);
  const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; };
  return std::all_of(rest.begin(), rest.end(), continues) ? length : 0;
}

}  // namespace

std::string read_file(const std::string& path, std::uint64_t max_bytes) {
  // Without O_NONBLOCK, opening a FIFO would wait for a writer.
  int opened = -1;
  do opened = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  while (opened < 0 && errno == EINTR);
  if (opened < 0) fail(path, errno);
  const Descriptor file(opened);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) fail(path, errno);
  const std::string_view other = other_kind(status.st_mode);
  require(other.empty(), printable(path), " is ", other, ", a file was expected");
  const auto known = S_ISREG(status.st_mode) ? static_cast<std::uint64_t>(status.st_size) : 0;

  const auto check_size = [&](std::uint64_t size) {
    require(size <= max_bytes, printable(path), " is larger than the ", max_bytes,
            " bytes that are read of such a file");
  };
  check_size(known);
  std::string bytes(static_cast<std::size_t>(known) + 1, '\0');  // the last one finds the end
  std::size_t filled = 0;
  for (;;) {
    check_size(filled);
    if (filled == bytes.size()) bytes.resize(std::max<std::size_t>(filled + filled / 2, 1 << 16));
    const ssize_t got = ::read(file.get(), bytes.data() + filled, bytes.size() - filled);
    if (got == 0) break;
    if (got > 0) filled += static_cast<std::size_t>(got);
    if (got < 0 && errno == EAGAIN) await(file.get(), path);
    if (got < 0 && errno != EAGAIN && errno != EINTR) fail(path, errno);
  }
  require(filled > 0 || !S_ISFIFO(status.st_mode), printable(path),
          " is a pipe that nobody writes to, or that was closed without a byte");
  bytes.resize(filled);
  return bytes;
}

std::string read_text_file(const std::string& path) {
  std::string text = read_file(path);
  require(!text.starts_with("\xFF\xFE") && !text.starts_with("\xFE\xFF"), printable(path),
          " is UTF-16; save it as UTF-8");
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  require(text.find('\0') == std::string::npos, printable(path), " is not a text file");
  return text;
}

std::vector<TextLine> lines_of(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\v\f";
  std::vector<TextLine> lines;
  for (int number = 1; !text.empty(); ++number) {
    // "\r\n" of Windows, and "\r" alone of old Macs.
    const std::size_t end = std::min(text.find_first_of("\r\n"), text.size());
    const std::string_view line = text.substr(0, end);
    const std::size_t last = line.find_last_not_of(kBlanks);
    if (last != std::string_view::npos)
      lines.push_back({number, std::string(line.substr(0, last + 1))});
    text.remove_prefix(std::min(text.size(), end + (text.substr(end, 2) == "\r\n" ? 2 : 1)));
  }
  return lines;
}

std::vector<TextLine> read_lines(const std::string& path) { return lines_of(read_text_file(path)); }

std::string printable(std::string_view text, std::size_t max_bytes) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  while (!text.empty() && out.size() < max_bytes) {
    const auto c = static_cast<unsigned char>(text[0]);
    const std::size_t length = utf8_length(text);
    if (length > 0 && c >= 0x20 && c != 0x7F) {
      out += text.substr(0, length);
    } else if (c == '\n' || c == '\t' || c == '\r') {
      out += c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\r";
    } else {
      out += {'\\', 'x', kHex[c >> 4], kHex[c & 15]};
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return text.empty() ? out : out + "...";
}

}  // namespace doppio
