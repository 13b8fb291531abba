#pragma once
#include <cstddef>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace doppio {

/// SHA-256 of a series of bytes. Copies continue from the same state.
class Sha256 {
 public:
  static constexpr std::size_t kBytes = 32;

  Sha256();
  Sha256(const Sha256& other);
  Sha256& operator=(const Sha256&) = delete;
  ~Sha256();

  void update(const void* bytes, std::size_t count);
  /// Adds the number of bytes and the bytes, so that a series of texts is unambiguous.
  void update_with_length(std::string_view bytes);

  /// The digest of all bytes so far: 32 bytes, and as 64 hexadecimal digits.
  std::string digest() const;
  std::string hex() const;
  /// The first 16 hexadecimal digits, to tell accidental differences.
  std::string short_hex() const { return hex().substr(0, 16); }

 private:
  evp_md_ctx_st* state_;
};

/// SHA-256 of `count` bytes in hexadecimal digits.
std::string sha256_hex(const void* bytes, std::size_t count);

/// The first 16 digits of that.
std::string short_sha256(const void* bytes, std::size_t count);

}  // namespace doppio
