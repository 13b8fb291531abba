#pragma once
#include <cstdint>
#include <string_view>

#include "core/host_device.hpp"
#include "doppio/shape.hpp"

namespace doppio {

/// Counter-based random numbers: the i-th draw of a stream is a pure function of (seed, stream,
/// pass, i), so it is the same on every device and for every number of threads, and a resumed run
/// continues exactly.
///
/// Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011), Philox4x32-10.
struct Random {
  std::uint64_t seed = 0;                  ///< key of the run
  std::uint32_t stream = 0;                ///< stream_of(layer name)
  std::uint64_t pass = 0;                  ///< number of the forward pass; 48 bits are used
  const std::uint64_t* pass_at = nullptr;  ///< address of that number for captured kernels

  /// Returns a copy with the current pass, for use in kernels.
  HOST_DEVICE Random now() const {
    Random random = *this;
    if (pass_at) random.pass = *pass_at;
    return random;
  }

  /// 32 random bits.
  HOST_DEVICE std::uint32_t bits(Index i) const {
    std::uint32_t c[4];
    block(static_cast<std::uint64_t>(i) >> 2, c);
    const Index word = i & 3;  // an index that varies would keep c out of a GPU's registers
    return word == 0 ? c[0] : word == 1 ? c[1] : word == 2 ? c[2] : c[3];
  }

  /// Uniform in [0, 1), a multiple of 2^-24.
  HOST_DEVICE float uniform(Index i) const {
    return static_cast<float>(bits(i) >> 8) * (1.0f / 16777216.0f);
  }

  /// Uniform integer in 0 .. n-1 for 0 < n < 2^32.
  HOST_DEVICE Index below(Index n, Index i) const {
    return static_cast<Index>(
        (static_cast<std::uint64_t>(bits(i)) * static_cast<std::uint64_t>(n)) >> 32);
  }

  /// The four words of block `b`: draws 4b .. 4b+3.
  HOST_DEVICE void block(std::uint64_t b, std::uint32_t (&c)[4]) const {
    c[0] = static_cast<std::uint32_t>(b);
    c[1] = static_cast<std::uint32_t>(b >> 32) ^ static_cast<std::uint32_t>(pass >> 32) << 16;
    c[2] = static_cast<std::uint32_t>(pass);
    c[3] = stream;
    auto k0 = static_cast<std::uint32_t>(seed), k1 = static_cast<std::uint32_t>(seed >> 32);
    for (int round = 0; round < 10; ++round) {
      const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c[0];
      const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * c[2];
      const std::uint32_t n0 = static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ k0;
      const std::uint32_t n2 = static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ k1;
      c[1] = static_cast<std::uint32_t>(p1);
      c[3] = static_cast<std::uint32_t>(p0);
      c[0] = n0;
      c[2] = n2;
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
  }
};

/// Stream number of a name (FNV-1a), so that a layer's numbers do not depend on its position in the
/// net.
constexpr std::uint32_t stream_of(std::string_view name) {
  std::uint32_t hash = 2166136261u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return hash;
}

}  // namespace doppio
