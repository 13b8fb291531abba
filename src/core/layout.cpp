#include "core/layout.hpp"

#include "core/cpu.hpp"
#include "doppio/tensor.hpp"

namespace doppio {

namespace {

/// move(plain, blocked) for the addresses of every value, channel block by channel block; B is a
/// constant so that the innermost loop unrolls.
template <Index B, class Plain, class Blocked, class Move>
void for_each_value(const Blocks& blocks, Plain* plain, Blocked* blocked, Move move) {
  const Index S = blocks.pixels, planes = blocks.images * blocks.channels / B;
#pragma omp parallel for schedule(static) if (blocks.count() > 16384)
  for (Index p = 0; p < planes; ++p) {
    Plain* const from = plain + p * B * S;
    Blocked* const to = blocked + p * B * S;
    for (Index s = 0; s < S; ++s)
      for (Index b = 0; b < B; ++b) move(from[b * S + s], to[s * B + b]);
  }
}

template <class Plain, class Blocked, class Move>
void for_each_value(const Blocks& blocks, Plain* plain, Blocked* blocked, Move move) {
  if (channel_block() == 16)
    for_each_value<16>(blocks, plain, blocked, move);
  else
    for_each_value<8>(blocks, plain, blocked, move);
}

}  // namespace

Index channel_block() {
  static const Index block = cpu_isa() == Isa::avx512 ? 16 : 8;
  return block;
}

Blocks blocks_of(const Shape& shape) { return {shape[0], shape[1], shape[2] * shape[3]}; }

void plain_to_blocked(const Blocks& blocks, const float* plain, float* blocked) {
  for_each_value(blocks, plain, blocked, [](float from, float& to) { to = from; });
}

void blocked_to_plain(const Blocks& blocks, const float* blocked, float* plain) {
  for_each_value(blocks, plain, blocked, [](float& to, float from) { to = from; });
}

}  // namespace doppio
