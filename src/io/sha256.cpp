#include "io/sha256.hpp"

#include <openssl/evp.h>

#include <cstdint>

#include "doppio/error.hpp"

namespace doppio {

Sha256::Sha256() : state_(EVP_MD_CTX_new()) {
  ensure(state_ && EVP_DigestInit_ex(state_, EVP_sha256(), nullptr) == 1, "SHA-256 is missing");
}

Sha256::Sha256(const Sha256& other) : state_(EVP_MD_CTX_new()) {
  ensure(state_ && EVP_MD_CTX_copy_ex(state_, other.state_) == 1, "SHA-256 cannot be copied");
}

Sha256::~Sha256() { EVP_MD_CTX_free(state_); }

void Sha256::update(const void* bytes, std::size_t count) {
  ensure(EVP_DigestUpdate(state_, bytes, count) == 1, "SHA-256 failed");
}

void Sha256::update_with_length(std::string_view bytes) {
  const std::uint64_t count = bytes.size();
  update(&count, sizeof count);
  update(bytes.data(), bytes.size());
}

std::string Sha256::digest() const {
  const Sha256 last(*this);
  std::string bytes(kBytes, '\0');
  ensure(
      EVP_DigestFinal_ex(last.state_, reinterpret_cast<unsigned char*>(bytes.data()), nullptr) == 1,
      "SHA-256 failed");
  return bytes;
}

std::string Sha256::hex() const {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const char c : digest()) {
    const auto byte = static_cast<unsigned char>(c);
    text += {kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return text;
}

std::string sha256_hex(const void* bytes, std::size_t count) {
  Sha256 sha;
  sha.update(bytes, count);
  return sha.hex();
}

std::string short_sha256(const void* bytes, std::size_t count) {
  Sha256 sha;
  sha.update(bytes, count);
  return sha.short_hex();
}

}  // namespace doppio
