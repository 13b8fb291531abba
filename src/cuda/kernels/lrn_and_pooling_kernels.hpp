#pragma once
// LRN across channels, pooling, and both fused, in NCHW or NHWC, for T = float or Bf16.
#include <cstdint>

#include "doppio/tensor.hpp"
#include "layers/normalization/lrn_formula.hpp"
#include "layers/pooling/pooling_geometry.hpp"

namespace doppio::cuda {

/// Maps of N x C x H x W values.
struct Maps {
  Index N, C, H, W;
  Layout layout;  ///< NCHW or NHWC
};

/// Pooling windows, and whether to take their maximum or their mean.
struct MapWindows {
  PoolAxis rows, cols;
  bool max;
};

template <class T>
void lrn_forward(Context& ctx, const Maps& maps, const LrnFormula& formula, const T* x, T* y);
template <class T>
void lrn_backward(Context& ctx, const Maps& maps, const LrnFormula& formula, const T* x,
                  const T* dy, T* dx);

/// argmax[o] = index of the maximum in window o, in the layout of `maps`; unused for means.
template <class T>
void pool_forward(Context& ctx, const Maps& maps, const MapWindows& windows, const T* x, T* y,
                  std::uint8_t* argmax);
template <class T>
void pool_backward(Context& ctx, const Maps& maps, const MapWindows& windows, const T* dy,
                   const std::uint8_t* argmax, T* dx);

/// LRN followed by pooling, without writing the maps in between.
template <class T>
void lrn_pool_forward(Context& ctx, const Maps& maps, const LrnFormula& formula,
                      const MapWindows& windows, const T* x, T* y, std::uint8_t* argmax);
template <class T>
void lrn_pool_backward(Context& ctx, const Maps& maps, const LrnFormula& formula,
                       const MapWindows& windows, const T* x, const T* dy,
                       const std::uint8_t* argmax, T* dx);

}  // namespace doppio::cuda
