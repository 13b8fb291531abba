#pragma once

namespace doppio {

struct NetLayer;

/// Multiply-adds of one forward pass of a convolution, deconvolution or inner product; 0 for other
/// layers.
double multiply_adds(const NetLayer& layer);

/// Multiply-adds of one backward pass: as many again for the gradient of the bottom and for that of
/// the weights, where they are wanted.
double backward_multiply_adds(const NetLayer& layer);

}  // namespace doppio
