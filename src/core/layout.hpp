#pragma once
#include "doppio/shape.hpp"

namespace doppio {

/// A tensor of N x C x S values as blocks of B channels, N x C/B x S x B. Where C is no multiple of
/// B, the last block has channels that only fill it up.
struct Blocks {
  Index images = 0, channels = 0, pixels = 0;  ///< N, C, S

  Index count() const { return images * channels * pixels; }
  friend bool operator==(const Blocks&, const Blocks&) = default;
};

/// The blocks of a tensor of this shape, N x C x H x W.
Blocks blocks_of(const Shape& shape);

/// block[s * B + c] = plain[c * plane + s] for some pixels of up to B channels, and 0 for the
/// others.
void interleave(const float* plain, Index plane, Index channels, Index pixels, float* block);
/// plain[c * plane + s] = block[s * B + c].
void separate(const float* block, Index channels, Index pixels, float* plain, Index plane);

/// blocked[n, c / B, s, c % B] = plain[n, c, s], and 0 for channels that fill up.
void plain_to_blocked(const Blocks& blocks, const float* plain, float* blocked);
/// plain[n, c, s] = blocked[n, c / B, s, c % B].
void blocked_to_plain(const Blocks& blocks, const float* blocked, float* plain);

}  // namespace doppio
