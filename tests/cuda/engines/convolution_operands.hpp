#pragma once
// Convolutions for tests of engines.
#include <vector>

#include "cuda/gpu_test.hpp"
#include "layers/convolution/engine.hpp"

namespace doppio {

inline ConvolutionGeometry geometry(Index batch, Index channels, Index num_output, Index group,
                                    WindowAxis h, WindowAxis w) {
  ConvolutionGeometry g;
  g.batch = batch;
  g.channels = channels;
  g.num_output = num_output;
  g.group = group;
  g.four_axes = true;
  g.windows.axes = 2;
  g.windows.axis[0] = h;
  g.windows.axis[1] = w;
  slide(g.windows);
  return g;
}

/// Small whole numbers, whose sums are exact in any order.
inline void fill(Tensor& tensor, const Shape& shape, Index seed) {
  tensor.reshape(shape);
  float* v = tensor.write_host();
  for (Index i = 0; i < tensor.count(); ++i) v[i] = static_cast<float>((i * 7 + seed) % 11 - 5);
}

inline const Follower kRelu[] = {{.relu = true}};

struct Operands {
  explicit Operands(const ConvolutionGeometry& g) {
    const auto& axis = g.windows.axis;
    fill(x, {g.batch, g.channels, axis[0].in, axis[1].in}, 1);
    fill(dy, {g.batch, g.num_output, axis[0].out, axis[1].out}, 2);
    fill(weight, g.weight_shape(), 3);
    fill(bias, {g.num_output}, 4);
    fill(dweight, weight.shape(), 5);
    fill(dbias, bias.shape(), 6);
    y.reshape(dy.shape());
    dx.reshape(x.shape());
  }

  void run(Context& ctx, ConvolutionEngine& engine) {
    engine.forward(ctx, x, weight, &bias, y);
    const bool added = engine.begin_backward(ctx, dy, &dbias);
    engine.backward_data(ctx, dy, weight, dx);
    engine.backward_params(ctx, x, dy, &dweight, added ? nullptr : &dbias);
  }

  std::vector<const Tensor*> results() const { return {&y, &dx, &dweight, &dbias}; }

  Tensor x, y, weight, bias, dx, dy, dweight, dbias;
};

// In, kernel, pad, stride, dilation.
inline const ConvolutionGeometry kGeometries[] = {
    geometry(5, 3, 8, 1, {23, 11, 0, 4}, {27, 11, 0, 4}),     // AlexNet's first
    geometry(4, 8, 12, 2, {9, 5, 2}, {9, 5, 2}),              // and second layer
    geometry(3, 4, 6, 1, {13, 3, 1, 2, 2}, {8, 3, 2, 1, 3}),  // strides and dilations
    geometry(3, 5, 7, 1, {6, 1}, {7, 1}),                     // 1 x 1
    geometry(3, 6, 4, 2, {6, 1}, {7, 1}),                     // 1 x 1 with groups
    geometry(2, 4, 6, 1, {7, 1, 0, 2}, {7, 1, 0, 2}),         // 1 x 1 that skips pixels
    geometry(2, 6, 6, 6, {7, 3, 1}, {7, 3, 1}),               // depthwise
    geometry(2, 2, 3, 1, {3, 2, 4, 3}, {5, 2, 0, 1}),         // windows that see only padding
    geometry(1, 1, 1, 1, {1, 1}, {1, 1}),
};

}  // namespace doppio
