#include "io/input_file.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "core/printable.hpp"
#include "doppio/error.hpp"
#include "io/descriptor.hpp"
#include "io/file_kind.hpp"

namespace doppio {

namespace {

constexpr int kPipePatienceMs = 60'000;

[[noreturn]] void fail(const std::string& path, int error) {
  std::string where;
  if (error == ENOENT) {
    std::error_code unknown;
    where = str(" (working directory ", std::filesystem::current_path(unknown).string(), ")");
  }
  throw Error(str("cannot read ", printable(path), ": ", std::strerror(error), where,
                  error == ENOENT ? lookalike_hint(path) : ""));
}

/// Describes a path that is not a file; empty for files and pipes.
std::string_view other_kind(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISREG(mode) || S_ISFIFO(mode)) return {};
  return S_ISSOCK(mode) ? "a socket" : "a device";
}

/// Opens a file or a pipe, and fills in `status`.
Descriptor open_input(const std::string& path, struct stat& status) {
  // Without O_NONBLOCK, opening a FIFO would wait for a writer.
  int opened = -1;
  do opened = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  while (opened < 0 && errno == EINTR);
  if (opened < 0) fail(path, errno);
  Descriptor file(opened);
  if (::fstat(file.get(), &status) != 0) fail(path, errno);
  const std::string_view other = other_kind(status.st_mode);
  require(other.empty(), printable(path), " is ", other, ", a file was expected");
  return file;
}

/// Waits until a pipe has data or its writers have closed it.
void await(int pipe, const std::string& path) {
  pollfd wanted{pipe, POLLIN, 0};
  const int ready = ::poll(&wanted, 1, kPipePatienceMs);
  require(ready != 0, printable(path), " is a pipe into which nothing was written for ",
          kPipePatienceMs / 1000, " s");
  if (ready < 0 && errno != EINTR) fail(path, errno);
}

}  // namespace

int open_file(const std::string& path) {
  struct stat status {};
  Descriptor file = open_input(path, status);
  require(S_ISREG(status.st_mode), printable(path), " is a pipe, a file was expected");
  return file.release();
}

std::string read_head(const std::string& path, std::size_t bytes) {
  std::string head(bytes, '\0');
  std::size_t filled = 0;
  try {
    const Descriptor file(open_file(path));
    for (ssize_t got = 1; got > 0 && filled < bytes; filled += static_cast<std::size_t>(got))
      got = std::max<ssize_t>(0, ::read(file.get(), head.data() + filled, bytes - filled));
  } catch (const Error&) {
  }
  head.resize(filled);
  return head;
}

std::string read_file(const std::string& path, std::uint64_t max_bytes) {
  struct stat status {};
  const Descriptor file = open_input(path, status);
  const auto known = S_ISREG(status.st_mode) ? static_cast<std::uint64_t>(status.st_size) : 0;

  const auto check_size = [&](std::uint64_t size) {
    require(size <= max_bytes, printable(path), " is larger than the ", max_bytes,
            " bytes that are read of such a file");
  };
  check_size(known);
  std::string bytes(static_cast<std::size_t>(known) + 1, '\0');  // one more detects the end
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
  require(is_text(text), printable(path), " is not a text file", kind_hint(text));
  return text;
}

std::vector<TextLine> lines_of(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\v\f";
  std::vector<TextLine> lines;
  for (int number = 1; !text.empty(); ++number) {
    // Windows ends lines with "\r\n", old Macs with "\r".
    const auto breaks = [](char c) { return c == '\n' || c == '\r'; };
    const auto end =
        static_cast<std::size_t>(std::find_if(text.begin(), text.end(), breaks) - text.begin());
    const std::string_view line = text.substr(0, end);
    const std::size_t last = line.find_last_not_of(kBlanks);
    if (last != std::string_view::npos)
      lines.push_back({number, std::string(line.substr(0, last + 1))});
    text.remove_prefix(std::min(text.size(), end + (text.substr(end, 2) == "\r\n" ? 2 : 1)));
  }
  return lines;
}

std::vector<TextLine> read_lines(const std::string& path) { return lines_of(read_text_file(path)); }

}  // namespace doppio
