#pragma once
#include <cstdint>

#include "doppio/shape.hpp"

namespace doppio {

/// The B values of one pixel in Layout::blocked as one value each, whose operators work on all
/// lanes at once: +, *, <, ?: and so on. CPU only; functions take them by reference, because how
/// they are passed by value depends on the instruction set.
template <Index B>
struct Lanes {
  typedef float Floats __attribute__((vector_size(B * sizeof(float)), may_alias));
  typedef std::int32_t Ints __attribute__((vector_size(B * sizeof(std::int32_t)), may_alias));
  typedef std::uint8_t Bytes __attribute__((vector_size(B), may_alias));
};

}  // namespace doppio
