#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace doppio {

/// The most bytes that a file may have that is read whole.
inline constexpr std::uint64_t kMaxInputBytes = std::uint64_t{2} << 30;

/// Reads a file of the user's as it is: a regular file, or a pipe such as bash's `<(...)`.
///
/// Folders, devices and sockets are refused, and so is a file of more than `max_bytes`, before
/// memory is taken for it. A pipe that nobody writes to ends the call instead of blocking it.
/// Throws: Error with the path, the system's reason and, if there is no such file, the working
/// directory.
std::string read_file(const std::string& path, std::uint64_t max_bytes = kMaxInputBytes);

/// Opens a file of the user's that is read in pieces; the caller closes the descriptor.
/// Throws: Error as read_file(), and for pipes, which can be read only once.
int open_file(const std::string& path);

/// The first `bytes` of a regular file, or what there is; empty if it cannot be read.
std::string read_head(const std::string& path, std::size_t bytes);

/// Reads a text file: as read_file(), without the byte order mark that Windows editors write.
/// Throws: Error if the file is UTF-16 or holds bytes that no text does; says what it is instead.
std::string read_text_file(const std::string& path);

/// A line of a list.
struct TextLine {
  int number = 0;    // from 1
  std::string text;  // without line break and blanks at its end; never empty
};

/// The lines of a text file that hold more than blanks, whatever system wrote its line breaks.
std::vector<TextLine> read_lines(const std::string& path);

/// The same of a text that was read already.
std::vector<TextLine> lines_of(std::string_view text);

}  // namespace doppio
