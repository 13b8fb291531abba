#pragma once
#include <cstdint>
#include <functional>
#include <ostream>
#include <string>

namespace doppio {

// Binary messages with a checksum that reveals damage: weights and solver states.
//
// Such a file begins with an empty field 65000 and ends with another, which contains the SHA-256
// (32 bytes) of all bytes before it. Other readers skip both. A program that changes the message
// writes unknown fields last, so that its file counts as one without a checksum, like Caffe's.

constexpr int kChecksumField = 65000;
/// Bytes that the two fields add to a file.
constexpr std::uint64_t kChecksumBytes = 40;

/// Writes `file` with its checksum by write_file_atomically(). Returns the SHA-256 of the file.
std::string write_checked_file(const std::string& file,
                               const std::function<void(std::ostream&)>& write);

/// Returns the SHA-256 of any file in hexadecimal. Throws: Error ("is damaged") if the file has a
/// checksum that differs from its contents.
std::string check_file(const std::string& file);

}  // namespace doppio
