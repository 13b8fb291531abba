#pragma once
#include <cstdint>
#include <cstring>

#include "doppio/shape.hpp"

namespace doppio {

/// Vector types for the B values of a pixel in Layout::nchw_blocked, whose operators (+, *, <, ?:
/// and so on) work on all lanes. CPU only. Pass them by reference, because the ABI for passing them
/// by value depends on the instruction set.
template <Index B>
struct Lanes {
  typedef float Floats __attribute__((vector_size(B * sizeof(float)), may_alias));
  typedef std::int32_t Ints __attribute__((vector_size(B * sizeof(std::int32_t)), may_alias));
  typedef std::int16_t Shorts __attribute__((vector_size(B * sizeof(std::int16_t))));
  typedef std::uint8_t Bytes __attribute__((vector_size(B)));
};

// Conversions go through 16 bits, because GCC does not vectorise them in one step.

template <Index B>
void widen(const std::uint8_t* bytes, typename Lanes<B>::Ints& ints) {
  typename Lanes<B>::Bytes packed;
  std::memcpy(&packed, bytes, sizeof(packed));
  const auto shorts = __builtin_convertvector(packed, typename Lanes<B>::Shorts);
  ints = __builtin_convertvector(shorts, typename Lanes<B>::Ints);
}

template <Index B>
void narrow(const typename Lanes<B>::Ints& ints, std::uint8_t* bytes) {
  const auto shorts = __builtin_convertvector(ints, typename Lanes<B>::Shorts);
  const auto packed = __builtin_convertvector(shorts, typename Lanes<B>::Bytes);
  std::memcpy(bytes, &packed, sizeof(packed));
}

}  // namespace doppio
