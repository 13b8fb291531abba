#pragma once
#include <cstdint>
#include <functional>
#include <ostream>
#include <string>

namespace doppio {

// Binary messages that show when they are damaged: weights and states of solvers.
//
// Such a file begins with an empty field 65000 and ends with another, whose 32 bytes are the
// SHA-256 of all bytes before them. Other readers skip both. A program that changes the message
// writes fields that it does not know last; such a file, like Caffe's, counts as one without a
// checksum.

constexpr int kChecksumField = 65000;
/// Bytes that the two fields add to a file.
constexpr std::uint64_t kChecksumBytes = 40;

/// Writes `file` by write_file_atomically(), with its checksum. Returns the SHA-256 of the file.
std::string write_checked_file(const std::string& file,
                               const std::function<void(std::ostream&)>& write);

/// Returns the SHA-256 of any file, in hexadecimal digits. Throws: Error that says "is damaged" if
/// the file has a checksum which differs from its contents.
std::string check_file(const std::string& file);

}  // namespace doppio
