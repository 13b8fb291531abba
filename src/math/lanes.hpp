#pragma once
#include <cstdint>
#include <cstring>

#include "doppio/shape.hpp"

namespace doppio {

/// The B values of one pixel in Layout::nchw_blocked as one value each, whose operators work on all
/// lanes at once: +, *, <, ?: and so on. CPU only; functions take them by reference, because how
/// they are passed by value depends on the instruction set.
template <Index B>
struct Lanes {
  typedef float Floats __attribute__((vector_size(B * sizeof(float)), may_alias));
  typedef std::int32_t Ints __attribute__((vector_size(B * sizeof(std::int32_t)), may_alias));
  typedef std::int16_t Shorts __attribute__((vector_size(B * sizeof(std::int16_t))));
  typedef std::uint8_t Bytes __attribute__((vector_size(B)));
};

// Bytes to integers and back, by way of 16 bits: GCC does it at one go value by value.

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
