#pragma once
#include "layers/convolution/winograd/winograd_pass.hpp"

namespace doppio {

/// A stride-1 convolution by Winograd's algorithm on plain arrays: x, y and their gradients are
/// blocked (batch x C / lanes x H x W x lanes), weights and bias are row-major.
///
/// Each pass transforms tiles of maps, multiplies matrices point by point, and transforms back.
/// Results do not depend on the number of threads. Relative rms error on noise: at most 8e-6, a
/// direct convolution's is 2e-7.
/// Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2015.
class WinogradConvolution {
 public:
  /// why_not_winograd() must return an empty string for `geometry`.
  WinogradConvolution(const ConvolutionGeometry& geometry, const WinogradKernels& kernels);
  /// As above, with passes of chosen tile sizes.
  WinogradConvolution(WinogradPass forward, WinogradPass data, WinogradPass params,
                      const WinogradKernels& kernels);

  /// Floats of scratch memory, aligned to 64 bytes, that each pass needs.
  Index forward_scratch() const;
  Index backward_data_scratch() const;
  Index backward_params_scratch() const;

  /// transform() writes what forward_with() reads: transformed_size() floats, aligned as scratch
  /// memory.
  Index transformed_size() const;
  void transform(const float* weight, float* transformed) const;
  /// forward() with transformed weights.
  void forward_with(const float* transformed, const float* x, const float* bias, bool relu,
                    float* y, float* scratch) const;
  /// y = weight * x + bias, then max(0, y) if `relu`; `bias` may be null.
  void forward(const float* x, const float* weight, const float* bias, bool relu, float* y,
               float* scratch) const;
  /// dx = the gradient of x. Unless `y` is null, dy is taken as 0 where y is not positive: the
  /// gradient of a fused ReLU.
  void backward_data(const float* dy, const float* y, const float* weight, float* dx,
                     float* scratch) const;
  /// Adds to the gradients of weight and bias, each unless null; `y` as in backward_data().
  void backward_params(const float* x, const float* dy, const float* y, float* dweight,
                       float* dbias, float* scratch) const;

 private:
  void convolve(const WinogradPass& pass, const float* x, const float* mask, const float* u,
                const float* bias, bool relu, float* y, float* scratch) const;
  void sum_products(const float* x, const float* dy, const float* y, bool weights_wanted, float* s,
                    float* scratch, double* bias_sums) const;

  const WinogradKernels& kernels_;
  WinogradPass forward_, data_, params_;
};

}  // namespace doppio
