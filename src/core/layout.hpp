#pragma once
#include "doppio/shape.hpp"

namespace doppio {

/// The sizes of an N x C x S tensor in any layout. S is H * W for images.
struct TensorDims {
  Index images = 0, channels = 0, pixels = 0;  ///< N, C, S

  Index count() const { return images * channels * pixels; }
  friend bool operator==(const TensorDims&, const TensorDims&) = default;
};

/// Returns the sizes for a shape of N x C x H x W.
TensorDims tensor_dims(const Shape& shape);

// A block holds B = channel_block() channels of S pixels, as S x B values.

/// block[s * B + c] = nchw[c * plane + s] for up to B channels, and 0 for the rest of the block.
void pack_channels(const float* nchw, Index plane, Index channels, Index pixels, float* block);
/// nchw[c * plane + s] = block[s * B + c].
void unpack_channels(const float* block, Index channels, Index pixels, float* nchw, Index plane);

/// blocked[n, c / B, s, c % B] = nchw[n, c, s]. If C is no multiple of B, the last block is padded
/// with zeros.
void nchw_to_blocked(const TensorDims& dims, const float* nchw, float* blocked);
/// nchw[n, c, s] = blocked[n, c / B, s, c % B].
void blocked_to_nchw(const TensorDims& dims, const float* blocked, float* nchw);

}  // namespace doppio
