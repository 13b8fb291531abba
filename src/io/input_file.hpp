#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace doppio {

/// Maximum size of a file that is read into memory as a whole.
inline constexpr std::uint64_t kMaxInputBytes = std::uint64_t{2} << 30;

/// Reads all bytes of a user's file: a regular file, or a pipe such as bash's `<(...)`.
///
/// Rejects folders, devices, sockets and, before allocating memory, files of more than `max_bytes`.
/// Waiting for a pipe times out. Throws: Error with the path, the system's reason and, if there is
/// no such file, the working directory.
std::string read_file(const std::string& path, std::uint64_t max_bytes = kMaxInputBytes);

/// Opens a user's file for reading; the caller closes the descriptor. Throws: Error as read_file(),
/// and for pipes, which can be read only once.
int open_file(const std::string& path);

/// Returns up to `bytes` from the start of a regular file; empty if it cannot be read.
std::string read_head(const std::string& path, std::size_t bytes);

/// As read_file(), without the byte order mark that Windows editors write. Throws: Error with the
/// kind of file if it is UTF-16 or binary.
std::string read_text_file(const std::string& path);

/// A line of a text file.
struct TextLine {
  int number = 0;    // from 1
  std::string text;  // without trailing blanks and line break; never empty
};

/// Returns the non-blank lines of a text file with line breaks of any system.
std::vector<TextLine> read_lines(const std::string& path);

/// As read_lines(), for text in memory.
std::vector<TextLine> lines_of(std::string_view text);

}  // namespace doppio
