#pragma once

namespace doppio {

struct NetLayer;

/// Returns the multiply-adds of one forward pass of a convolution, deconvolution or inner product,
/// and 0 for other layers.
double multiply_adds(const NetLayer& layer);

/// Returns the multiply-adds of one backward pass: as many as forward for each of the bottom
/// gradient and the weight gradient, if the layer computes it.
double backward_multiply_adds(const NetLayer& layer);

}  // namespace doppio
