#include "core/layout.hpp"

#include <algorithm>

#include "core/cpu.hpp"
#include "core/threads.hpp"
#include "doppio/tensor.hpp"

namespace doppio {

namespace {

/// Calls f(NCHW offset, blocked offset, number of channels) for every block of channels.
template <class F>
void for_each_block(const TensorDims& dims, F f) {
  const Index B = channel_block(), in_image = (dims.channels + B - 1) / B;
#pragma omp parallel for collapse(2) schedule(static) if (dims.count() > kLittleWork)
  for (Index n = 0; n < dims.images; ++n)
    for (Index block = 0; block < in_image; ++block)
      f((n * dims.channels + block * B) * dims.pixels, (n * in_image + block) * B * dims.pixels,
        std::min(B, dims.channels - block * B));
}

}  // namespace

Index channel_block() {
  static const Index block = cpu_isa() == Isa::avx512 ? 16 : 8;
  return block;
}

namespace {

/// A constant B lets the compiler unroll the innermost loop.
template <Index B>
void pack_whole(const float* nchw, Index plane, Index pixels, float* block) {
  for (Index s = 0; s < pixels; ++s)
    for (Index c = 0; c < B; ++c) block[s * B + c] = nchw[c * plane + s];
}
template <Index B>
void unpack_whole(const float* block, Index pixels, float* nchw, Index plane) {
  for (Index s = 0; s < pixels; ++s)
    for (Index c = 0; c < B; ++c) nchw[c * plane + s] = block[s * B + c];
}

}  // namespace

void pack_channels(const float* nchw, Index plane, Index channels, Index pixels, float* block) {
  const Index B = channel_block();
  if (channels == B) return (B == 16 ? pack_whole<16> : pack_whole<8>)(nchw, plane, pixels, block);
  for (Index s = 0; s < pixels; ++s)
    for (Index c = 0; c < B; ++c) block[s * B + c] = c < channels ? nchw[c * plane + s] : 0;
}

void unpack_channels(const float* block, Index channels, Index pixels, float* nchw, Index plane) {
  const Index B = channel_block();
  if (channels == B)
    return (B == 16 ? unpack_whole<16> : unpack_whole<8>)(block, pixels, nchw, plane);
  for (Index s = 0; s < pixels; ++s)
    for (Index c = 0; c < channels; ++c) nchw[c * plane + s] = block[s * B + c];
}

TensorDims tensor_dims(const Shape& shape) { return {shape[0], shape[1], shape[2] * shape[3]}; }

void nchw_to_blocked(const TensorDims& dims, const float* nchw, float* blocked) {
  const Index S = dims.pixels;
  for_each_block(dims, [=](Index from, Index to, Index channels) {
    pack_channels(nchw + from, S, channels, S, blocked + to);
  });
}

void blocked_to_nchw(const TensorDims& dims, const float* blocked, float* nchw) {
  const Index S = dims.pixels;
  for_each_block(dims, [=](Index to, Index from, Index channels) {
    unpack_channels(blocked + from, channels, S, nchw + to, S);
  });
}

}  // namespace doppio
