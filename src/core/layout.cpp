#include "core/layout.hpp"

#include <algorithm>

#include "core/cpu.hpp"
#include "core/threads.hpp"
#include "doppio/tensor.hpp"

namespace doppio {

namespace {

/// f(first value of a plain block of channels, of the same block among blocks, channels in it).
template <class F>
void for_each_block(const Blocks& blocks, F f) {
  const Index B = channel_block(), in_image = (blocks.channels + B - 1) / B;
#pragma omp parallel for collapse(2) schedule(static) if (blocks.count() > kLittleWork)
  for (Index n = 0; n < blocks.images; ++n)
    for (Index block = 0; block < in_image; ++block)
      f((n * blocks.channels + block * B) * blocks.pixels,
        (n * in_image + block) * B * blocks.pixels, std::min(B, blocks.channels - block * B));
}

}  // namespace

Index channel_block() {
  static const Index block = cpu_isa() == Isa::avx512 ? 16 : 8;
  return block;
}

namespace {

/// With B a constant the innermost loop unrolls.
template <Index B>
void interleave_whole(const float* plain, Index plane, Index pixels, float* block) {
  for (Index s = 0; s < pixels; ++s)
    for (Index c = 0; c < B; ++c) block[s * B + c] = plain[c * plane + s];
}
template <Index B>
void separate_whole(const float* block, Index pixels, float* plain, Index plane) {
  for (Index s = 0; s < pixels; ++s)
    for (Index c = 0; c < B; ++c) plain[c * plane + s] = block[s * B + c];
}

}  // namespace

void interleave(const float* plain, Index plane, Index channels, Index pixels, float* block) {
  const Index B = channel_block();
  if (channels == B)
    return (B == 16 ? interleave_whole<16> : interleave_whole<8>)(plain, plane, pixels, block);
  for (Index s = 0; s < pixels; ++s)
    for (Index c = 0; c < B; ++c) block[s * B + c] = c < channels ? plain[c * plane + s] : 0;
}

void separate(const float* block, Index channels, Index pixels, float* plain, Index plane) {
  const Index B = channel_block();
  if (channels == B)
    return (B == 16 ? separate_whole<16> : separate_whole<8>)(block, pixels, plain, plane);
  for (Index s = 0; s < pixels; ++s)
    for (Index c = 0; c < channels; ++c) plain[c * plane + s] = block[s * B + c];
}

Blocks blocks_of(const Shape& shape) { return {shape[0], shape[1], shape[2] * shape[3]}; }

void plain_to_blocked(const Blocks& blocks, const float* plain, float* blocked) {
  const Index S = blocks.pixels;
  for_each_block(blocks, [=](Index from, Index to, Index channels) {
    interleave(plain + from, S, channels, S, blocked + to);
  });
}

void blocked_to_plain(const Blocks& blocks, const float* blocked, float* plain) {
  const Index S = blocks.pixels;
  for_each_block(blocks, [=](Index to, Index from, Index channels) {
    separate(blocked + from, channels, S, plain + to, S);
  });
}

}  // namespace doppio
