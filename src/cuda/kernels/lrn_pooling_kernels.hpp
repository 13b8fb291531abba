#pragma once
// LRN across channels and pooling, apart and together, channels first or last, of floats or
// bfloat16.
#include <cstdint>

#include "doppio/tensor.hpp"
#include "layers/normalization/lrn_formula.hpp"
#include "layers/pooling/pooling_geometry.hpp"

namespace doppio::cuda {

/// Maps of N x C x H x W values in one of a GPU's layouts; pointers to them are to Bf16 where they
/// are of bfloat16.
struct Maps {
  Index N, C, H, W;
  Layout layout;
};

/// How windows lie in maps, and whether each gives its largest value or its mean.
struct MapWindows {
  PoolAxis rows, cols;
  bool max;
};

void lrn_forward(Context& ctx, const Maps& maps, const LrnFormula& formula, const float* x,
                 float* y);
void lrn_backward(Context& ctx, const Maps& maps, const LrnFormula& formula, const float* x,
                  const float* dy, float* dx);

/// argmax[o] = the place of the largest value in window o, in the layout of `maps`; unused for
/// means.
void pool_forward(Context& ctx, const Maps& maps, const MapWindows& windows, const float* x,
                  float* y, std::uint8_t* argmax);
void pool_backward(Context& ctx, const Maps& maps, const MapWindows& windows, const float* dy,
                   const std::uint8_t* argmax, float* dx);

/// LRN and the pooling after it: what is between them is never written.
void lrn_pool_forward(Context& ctx, const Maps& maps, const LrnFormula& formula,
                      const MapWindows& windows, const float* x, float* y, std::uint8_t* argmax);
void lrn_pool_backward(Context& ctx, const Maps& maps, const LrnFormula& formula,
                       const MapWindows& windows, const float* x, const float* dy,
                       const std::uint8_t* argmax, float* dx);

}  // namespace doppio::cuda
