#pragma once
#include <string>

#include "math/gemm.hpp"
#include "math/im2col.hpp"

namespace doppio {

class ConvolutionParameter;

/// What an engine must know of a convolution before it sees a number.
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
  Precision precision = Precision::float32;  ///< what factors may be rounded to

  Shape weight_shape() const;
  /// True if a window reaches beyond the padded map, which only the gemm engine takes.
  bool overhangs() const;
  /// "64 x 96 x 27 x 27 -> 256, kernel 5 x 5, pad 2 x 2, group 2", for logs.
  std::string text() const;
  friend bool operator==(const ConvolutionGeometry&, const ConvolutionGeometry&) = default;
};

/// The windows that `p` asks for on the axes of `bottom` after `channel_axis`, all but `out`.
/// Throws: Error if sizes are missing, zero, given twice or as often as no rule allows.
Windows read_windows(const ConvolutionParameter& p, const Shape& bottom, Index channel_axis);

/// Fills in the number of window positions on each axis, rounding towards 0 as Caffe does: a kernel
/// that exceeds the padded input by less than its stride has one position, and sees zeros there.
/// Throws: Error if it exceeds it by more.
void slide(Windows& windows);

/// The geometry of a Convolution layer. Output sizes are (in + 2 pad - span) / stride + 1.
/// Throws: Error as read_windows() and slide(), or if num_output or the channels are not a multiple
/// of group. Source: matches Caffe.
ConvolutionGeometry read_convolution(const ConvolutionParameter& p, const Shape& bottom);

/// The geometry of the convolution whose adjoint a Deconvolution layer is: it leads from the
/// layer's top to its bottom. Throws: Error as read_convolution(). Source: matches Caffe.
ConvolutionGeometry read_deconvolution(const ConvolutionParameter& p, const Shape& bottom);

}  // namespace doppio
