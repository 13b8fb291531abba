#pragma once
#include <string>

#include "math/gemm.hpp"
#include "math/im2col.hpp"

namespace doppio {

class ConvolutionParameter;

/// The sizes and options of a convolution, from which an engine is created.
///
/// x is batch x channels x in..., weights are num_output x channels / group x kernel..., y is
/// batch x num_output x out....
struct ConvolutionGeometry {
  Index batch = 0, channels = 0, num_output = 0, group = 1;
  Windows windows;
  bool bias = true;
  bool four_axes = false;  ///< bottom and top are N x C x H x W, so that they may be blocked
  bool force_nd_im2col = false;
  bool inference = false;  ///< forward passes only: an engine may prepare the weights once
  Precision precision = Precision::float32;  ///< to which factors may be rounded

  Shape weight_shape() const;
  /// Returns whether a window exceeds the padded map, which only the gemm engine supports.
  bool overhangs() const;
  /// "64 x 96 x 27 x 27 -> 256, kernel 5 x 5, pad 2 x 2, group 2", for logs.
  std::string text() const;
  friend bool operator==(const ConvolutionGeometry&, const ConvolutionGeometry&) = default;
};

/// Reads from `p` the windows on the axes of `bottom` after `channel_axis`, except `out`.
/// Throws: Error if sizes are missing, zero, given in two fields, or too many or too few for the
/// axes.
Windows read_windows(const ConvolutionParameter& p, const Shape& bottom, Index channel_axis);

/// Sets `out`, the number of window positions, on each axis, rounding towards 0 as Caffe does: a
/// kernel that exceeds the padded input by less than its stride has one position, and reads zeros
/// beyond it. Throws: Error if it exceeds it by more.
void slide(Windows& windows);

/// Returns the geometry of a Convolution layer. Output sizes are (in + 2 pad - span) / stride + 1.
/// Throws: Error as read_windows() and slide(), or if num_output or the channels are not a multiple
/// of group. Source: matches Caffe.
ConvolutionGeometry read_convolution(const ConvolutionParameter& p, const Shape& bottom);

/// Returns the geometry of the convolution whose adjoint a Deconvolution layer computes: it maps
/// the layer's top to its bottom. Throws: Error as read_convolution(). Source: matches Caffe.
ConvolutionGeometry read_deconvolution(const ConvolutionParameter& p, const Shape& bottom);

}  // namespace doppio
