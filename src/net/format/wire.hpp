#pragma once
// The parts of protobuf's binary format that are needed to stream blobs without parsing them.
#include <cstdint>
#include <string>

namespace doppio::wire {

// Wire types, the encodings of fields. A tag is 8 * field number + wire type.
constexpr std::uint64_t kVarint = 0, kFixed64 = 1, kDelimited = 2, kFixed32 = 5;

constexpr std::uint64_t tag(int number, std::uint64_t type) {
  return static_cast<std::uint64_t>(number) * 8 + type;
}

/// Appends `value` as a varint: seven bits per byte, lowest first.
inline void put_varint(std::uint64_t value, std::string& out) {
  for (; value >= 128; value >>= 7) out.push_back(static_cast<char>(value | 128));
  out.push_back(static_cast<char>(value));
}

/// Returns the tag and length of a field with `length` bytes of content.
inline std::string head(int number, std::uint64_t length) {
  std::string out;
  put_varint(tag(number, kDelimited), out);
  put_varint(length, out);
  return out;
}

}  // namespace doppio::wire
