#pragma once
// Chooses oneDNN primitives and layouts for a convolution. Host code only.
#include <omp.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "layers/convolution/convolution_geometry.hpp"
#include "layers/convolution/onednn.hpp"

namespace doppio::onednn {

/// Bytes of images to reorder at a time: few enough to stay in the cache until they are used.
constexpr Index kPieceBytes = Index{8} << 20;

/// Returns how many images to convolve at a time if they are reordered: a divisor of the batch, or
/// all.
inline Index images_at_a_time(const ConvolutionGeometry& g) {
  const Index bytes = static_cast<Index>(sizeof(float)) *
                      (g.channels * g.windows.in_count() + g.num_output * g.windows.out_count());
  const Index most = std::max<Index>(kPieceBytes / bytes, omp_get_max_threads());
  for (Index n = std::min(most, g.batch); n > most / 4; --n)
    if (g.batch % n == 0) return n;
  return g.batch;
}

/// Sizes of all operands, for `images` at a time, and the layouts of x and y in our tensors.
struct Outside {
  Outside(const ConvolutionGeometry& g, Index images, bool blocks)
      : x{images, g.channels}, weight{g.num_output, g.channels}, y{images, g.num_output} {
    if (g.group > 1) weight = {g.group, g.num_output / g.group, g.channels / g.group};
    if (g.bias) bias = {g.num_output};
    for (Index i = 0; i < g.windows.axes; ++i) {
      const WindowAxis& a = g.windows.axis[i];
      x.push_back(a.in);
      weight.push_back(a.kernel);
      y.push_back(a.out);
    }
    if (blocks && g.four_axes && g.channels % channel_block() == 0) x_layout = Layout::nchw_blocked;
    if (blocks && g.four_axes && g.num_output % channel_block() == 0)
      y_layout = Layout::nchw_blocked;
  }

  static Desc desc(const Dims& dims, Layout layout) {
    return layout == Layout::nchw_blocked ? blocked(dims) : row_major(dims);
  }

  Desc x_desc() const { return desc(x, x_layout); }
  Desc y_desc() const { return desc(y, y_layout); }

  Dims x, weight, bias, y;
  Layout x_layout = Layout::nchw, y_layout = Layout::nchw;
};

/// Returns whether this is oneDNN's reference code, several times slower than our gemm engine.
inline bool is_reference(const char* implementation) {
  return std::string_view(implementation).starts_with("ref");
}

/// The layers after the convolution that are fused into its forward pass.
struct Fused {
  bool sum = false, relu = false;
  friend bool operator==(const Fused&, const Fused&) = default;
};

/// The primitives that oneDNN chose. Blocked operands keep our layout; NCHW ones get oneDNN's.
struct Choice {
  Choice(const ConvolutionGeometry& g, const Outside& operands, Fused fused)
      : outside(operands),
        forward(onednn::forward(cpu_engine(), description(g, operands, Result::y),
                                {fused.relu, fused.sum ? operands.y_desc() : Desc()})),
        backward_data(
            onednn::backward_data(cpu_engine(), description(g, operands, Result::x), forward)),
        backward_weights(onednn::backward_weights(
            cpu_engine(), description(g, operands, Result::weight), forward)) {}

  /// The operand that a pass computes, in float32; `precision` applies to the other two.
  enum class Result { x, weight, y };

  static Convolution description(const ConvolutionGeometry& g, const Outside& operands,
                                 Result result) {
    const auto type = [&](Result operand) {
      return operand != result && g.precision == Precision::bfloat16 ? Type::bf16 : Type::f32;
    };
    const auto inside = [](const Dims& dims, Layout layout, Type of) {
      return layout == Layout::nchw_blocked ? blocked(dims, of) : any_layout(dims, of);
    };
    Convolution c;
    c.src = inside(operands.x, operands.x_layout, type(Result::x));
    c.weights = any_layout(operands.weight, type(Result::weight));
    if (g.bias) c.bias = any_layout(operands.bias);
    c.dst = inside(operands.y, operands.y_layout, type(Result::y));
    for (Index i = 0; i < g.windows.axes; ++i) {
      const WindowAxis& a = g.windows.axis[i];
      c.strides.push_back(a.stride);
      c.dilates.push_back(a.dilation - 1);
      c.pads.push_back(a.pad);
    }
    return c;
  }

  bool fast() const {
    return !is_reference(forward.impl_info_str()) && !is_reference(backward_data.impl_info_str()) &&
           !is_reference(backward_weights.impl_info_str());
  }
  bool reorders() const {
    return forward.src_desc() != outside.x_desc() || forward.dst_desc() != outside.y_desc();
  }

  Outside outside;
  Forward::primitive_desc forward;
  BackwardData::primitive_desc backward_data;
  BackwardWeights::primitive_desc backward_weights;
};

inline std::optional<Choice> fast_choice(const ConvolutionGeometry& g, const Outside& operands,
                                         Fused fused) try {
  Choice choice(g, operands, fused);
  return choice.fast() ? std::optional(std::move(choice)) : std::nullopt;
} catch (const dnnl::error&) {  // it has no kernel at all
  return std::nullopt;
}

/// Chooses blocked tensors if oneDNN has fast kernels for them, else NCHW ones, and the whole batch
/// at once if nothing is reordered. Uses bfloat16 factors only if there are fast kernels for them.
inline Choice choose(ConvolutionGeometry g, Fused fused) {
  const Index piece = images_at_a_time(g);
  for (const Precision precision : {g.precision, Precision::float32}) {
    g.precision = precision;
    if (g.four_axes)
      if (const auto choice = fast_choice(g, Outside(g, g.batch, true), fused))
        return choice->reorders() ? Choice(g, Outside(g, piece, true), fused) : *choice;
    if (const auto choice = fast_choice(g, Outside(g, piece, false), fused)) return *choice;
  }
  return Choice(g, Outside(g, piece, false), fused);
}

}  // namespace doppio::onednn
