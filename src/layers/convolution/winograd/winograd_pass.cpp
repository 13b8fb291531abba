#include "layers/convolution/winograd/winograd_pass.hpp"

#include <optional>

#include "doppio/error.hpp"

namespace doppio {

namespace {

/// Costs of the transforms, in multiply-adds of a matrix product per channel and point. Transforms
/// are bound by memory, so these are measured: layers of AlexNet, VGG-16 and ResNet-50 on two cores
/// with AVX2.
struct Costs {
  double tile;    // x to its points, points to y
  double weight;  // weights to their points, or back
};
constexpr Costs kConvolve = {14, 62}, kBackwardParams = {30, 75};
/// With cached transformed weights, which are only read: two cores of Zen 4.
constexpr Costs kInference = {14, 22};
/// Costs of oneDNN's three passes, of which the last costs 1.3, and of its forward pass.
constexpr double kDirectPasses = 3.3, kDirectForward = 1;
/// Speedup of oneDNN's passes with bfloat16 factors, copies included.
constexpr double kBf16Speedup = 1.9;

double cost(const WinogradPass& p, const Costs& costs, const WinogradKernels& kernels) {
  const double tiles = static_cast<double>(p.tiling.count() * p.points);
  const double weights = static_cast<double>(p.points * p.depth * p.width * p.maps.group);
  return static_cast<double>(p.tiling.count()) * weights * static_cast<double>(kernels.words(2)) /
             2 +
         costs.tile * tiles * static_cast<double>(p.maps.in_channels + p.maps.out_channels) +
         costs.weight * weights;
}

WinogradPass cheapest(const WinogradMaps& maps, const WinogradKernels& kernels, int outputs,
                      const Costs& costs) {
  std::optional<WinogradPass> best;
  for (int i = 0; i < kernels.transform_count; ++i) {
    const WinogradTransforms& t = kernels.transforms[i];
    if (t.kernel != maps.kernel || (outputs != 0 && t.outputs != outputs)) continue;
    WinogradPass pass{maps,
                      &t,
                      WinogradTiling(maps, t.outputs),
                      Index{t.points()} * t.points(),
                      maps.in_channels / maps.group,
                      maps.out_channels / maps.group,
                      0};
    pass.cost = cost(pass, costs, kernels);
    if (!best || pass.cost < best->cost) best = std::move(pass);
  }
  ensure(best.has_value(), "no Winograd transform for this kernel size");
  return *std::move(best);
}

WinogradMaps maps_of(const ConvolutionGeometry& g, Index lanes) {
  const WindowAxis &h = g.windows.axis[0], &w = g.windows.axis[1];
  return {g.batch,        g.channels,     g.num_output, g.group, {h.in, w.in},
          {h.out, w.out}, {h.pad, w.pad}, h.kernel,     lanes};
}

double direct_cost(const ConvolutionGeometry& g) {
  const Index column = g.channels / g.group * g.windows.kernel_count();
  return static_cast<double>(g.batch * g.num_output * g.windows.out_count()) *
         static_cast<double>(column);
}

bool has_kernel_for(const Windows& windows) {
  const WindowAxis &h = windows.axis[0], &w = windows.axis[1];
  return h.kernel == w.kernel && (h.kernel == 3 || h.kernel == 5) && h.stride == 1 &&
         w.stride == 1 && h.dilation == 1 && w.dilation == 1;
}

}  // namespace

WinogradPass winograd_forward(const ConvolutionGeometry& g, const WinogradKernels& kernels,
                              int outputs) {
  return cheapest(maps_of(g, kernels.lanes), kernels, outputs,
                  g.inference ? kInference : kConvolve);
}

WinogradPass winograd_backward_data(const ConvolutionGeometry& g, const WinogradKernels& kernels,
                                    int outputs) {
  WinogradMaps maps = maps_of(g, kernels.lanes);
  std::swap(maps.in_channels, maps.out_channels);
  for (int i = 0; i < 2; ++i) {
    std::swap(maps.in[i], maps.out[i]);
    maps.pad[i] = maps.kernel - 1 - maps.pad[i];
  }
  return cheapest(maps, kernels, outputs, kConvolve);
}

WinogradPass winograd_backward_params(const ConvolutionGeometry& g, const WinogradKernels& kernels,
                                      int outputs) {
  return cheapest(maps_of(g, kernels.lanes), kernels, outputs, kBackwardParams);
}

std::string why_not_winograd(const ConvolutionGeometry& g, const WinogradKernels& kernels) {
  if (!g.four_axes) return "it supports only N x C x H x W bottoms";
  if (g.force_nd_im2col) return "force_nd_im2col asks for im2col";
  if (!has_kernel_for(g.windows)) return "it supports only 3 x 3 and 5 x 5 kernels of stride 1";
  if (g.batch == 0 || g.windows.in_count() == 0) return "the bottom is empty";
  const Index lanes = kernels.lanes;
  if (g.channels / g.group % lanes != 0 || g.num_output / g.group % lanes != 0)
    return str("the channels of a group are not multiples of ", lanes);
  return {};
}

std::string why_slower_winograd(const ConvolutionGeometry& g, const WinogradKernels& kernels) {
  const double direct = (g.inference ? kDirectForward : kDirectPasses) * direct_cost(g) /
                        (g.precision == Precision::bfloat16 ? kBf16Speedup : 1);
  double ours = winograd_forward(g, kernels).cost;
  if (!g.inference)
    ours += winograd_backward_data(g, kernels).cost + winograd_backward_params(g, kernels).cost;
  if (ours < direct) return {};
  return str("direct convolution takes ", direct * 1e-6, " million multiply-adds, this as long as ",
             ours * 1e-6);
}

}  // namespace doppio
