#pragma once
#include "layers/convolution/convolution_geometry.hpp"
#include "layers/convolution/winograd/winograd_tiling.hpp"

namespace doppio {

/// One pass of a convolution by Winograd's algorithm: the maps it reads and writes, the cheapest
/// tile size for them, and the sizes of its matrix products.
struct WinogradPass {
  WinogradMaps maps;
  const WinogradTransforms* transforms;
  WinogradTiling tiling;
  Index points, depth, width;  // points of a tile; channels of x and of y in a group
  double cost;                 // multiply-adds, what the transforms cost included
};

/// x to y. `outputs` asks for tiles of that size, 0 for the cheapest.
WinogradPass winograd_forward(const ConvolutionGeometry& g, const WinogradKernels& kernels,
                              int outputs = 0);
/// dy to dx: a convolution as well, by turned kernels whose inputs and outputs change places.
WinogradPass winograd_backward_data(const ConvolutionGeometry& g, const WinogradKernels& kernels,
                                    int outputs = 0);
/// x and dy to dweight, over the tiles of x and y.
WinogradPass winograd_backward_params(const ConvolutionGeometry& g, const WinogradKernels& kernels,
                                      int outputs = 0);

/// Why these kernels cannot compute that geometry; empty if they can.
std::string why_not_winograd(const ConvolutionGeometry& g, const WinogradKernels& kernels);
/// Why direct convolution is faster by an estimate of all passes to be run; empty if it is not. An
/// estimate, because a measured choice would let two runs differ in the last bits.
std::string why_slower_winograd(const ConvolutionGeometry& g, const WinogradKernels& kernels);

}  // namespace doppio
