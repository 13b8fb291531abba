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
  double cost;                 // multiply-adds, including the cost of the transforms
};

/// x to y. `outputs` is the tile size, 0 for the cheapest.
WinogradPass winograd_forward(const ConvolutionGeometry& g, const WinogradKernels& kernels,
                              int outputs = 0);
/// dy to dx: a convolution by rotated kernels whose inputs and outputs are swapped.
WinogradPass winograd_backward_data(const ConvolutionGeometry& g, const WinogradKernels& kernels,
                                    int outputs = 0);
/// x and dy to dweight, over the tiles of x and y.
WinogradPass winograd_backward_params(const ConvolutionGeometry& g, const WinogradKernels& kernels,
                                      int outputs = 0);

/// Returns why these kernels cannot compute the geometry; empty if they can.
std::string why_not_winograd(const ConvolutionGeometry& g, const WinogradKernels& kernels);
/// Returns why direct convolution is faster by an estimate for all passes to be run; empty if it is
/// not. With measured times, the results of two runs could differ in the last bits.
std::string why_slower_winograd(const ConvolutionGeometry& g, const WinogradKernels& kernels);

}  // namespace doppio
