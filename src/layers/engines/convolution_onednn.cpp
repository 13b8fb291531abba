#include <omp.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "layers/engines/convolution.hpp"
#include "layers/engines/onednn.hpp"

namespace doppio {

namespace {

using onednn::Dims;
using onednn::Operand;

/// Reordered images are used at once: a few of them at a time stay in the cache.
constexpr Index kPieceBytes = Index{8} << 20;

/// How many images to convolve at a time where they are reordered: a divisor of the batch, or all.
Index images_at_a_time(const ConvolutionGeometry& g) {
  const Index bytes = static_cast<Index>(sizeof(float)) *
                      (g.channels * g.windows.in_count() + g.num_output * g.windows.out_count());
  const Index most = std::max<Index>(kPieceBytes / bytes, omp_get_max_threads());
  for (Index n = std::min(most, g.batch); n > most / 4; --n)
    if (g.batch % n == 0) return n;
  return g.batch;
}

/// Sizes of all operands, for `images` at a time, and how x and y lie in our tensors.
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
    if (blocks && g.four_axes && g.channels % channel_block() == 0) x_layout = Layout::blocked;
    if (blocks && g.four_axes && g.num_output % channel_block() == 0) y_layout = Layout::blocked;
  }

  static onednn::Desc desc(const Dims& dims, Layout layout) {
    return layout == Layout::blocked ? onednn::blocked(dims) : onednn::row_major(dims);
  }

  onednn::Desc x_desc() const { return desc(x, x_layout); }
  onednn::Desc y_desc() const { return desc(y, y_layout); }

  Dims x, weight, bias, y;
  Layout x_layout = Layout::plain, y_layout = Layout::plain;
};

/// oneDNN's own last resort, several times slower than ours.
bool is_reference(const char* implementation) {
  return std::string_view(implementation).starts_with("ref");
}

/// The primitives that oneDNN chose: for blocked operands in our layout, for plain ones in its own.
struct Choice {
  Choice(const ConvolutionGeometry& g, const Outside& operands, bool relu)
      : outside(operands),
        forward(onednn::forward(onednn::cpu_engine(), description(g, operands, Result::y), relu)),
        backward_data(onednn::backward_data(onednn::cpu_engine(),
                                            description(g, operands, Result::x), forward)),
        backward_weights(onednn::backward_weights(
            onednn::cpu_engine(), description(g, operands, Result::weight), forward)) {}

  /// What a pass computes, in float32; the precision is that of the other two.
  enum class Result { x, weight, y };

  static onednn::Convolution description(const ConvolutionGeometry& g, const Outside& operands,
                                         Result result) {
    const auto type = [&](Result operand) {
      return operand != result && g.precision == Precision::bfloat16 ? onednn::Type::bf16
                                                                     : onednn::Type::f32;
    };
    const auto inside = [](const Dims& dims, Layout layout, onednn::Type of) {
      return layout == Layout::blocked ? onednn::blocked(dims, of) : onednn::any_layout(dims, of);
    };
    onednn::Convolution c;
    c.src = inside(operands.x, operands.x_layout, type(Result::x));
    c.weights = onednn::any_layout(operands.weight, type(Result::weight));
    if (g.bias) c.bias = onednn::any_layout(operands.bias);
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
  onednn::Forward::primitive_desc forward;
  onednn::BackwardData::primitive_desc backward_data;
  onednn::BackwardWeights::primitive_desc backward_weights;
};

std::optional<Choice> fast_choice(const ConvolutionGeometry& g, const Outside& operands,
                                  bool relu) try {
  Choice choice(g, operands, relu);
  return choice.fast() ? std::optional(std::move(choice)) : std::nullopt;
} catch (const dnnl::error&) {  // it has no kernel at all
  return std::nullopt;
}

/// Blocked tensors if oneDNN has fast kernels for them, else plain ones; the whole batch at once if
/// nothing is reordered. Factors of bfloat16 only if there are fast kernels for them.
Choice choose(ConvolutionGeometry g, bool relu) {
  const Index piece = images_at_a_time(g);
  for (const Precision precision : {g.precision, Precision::float32}) {
    g.precision = precision;
    if (g.four_axes)
      if (const auto choice = fast_choice(g, Outside(g, g.batch, true), relu))
        return choice->reorders() ? Choice(g, Outside(g, piece, true), relu) : *choice;
    if (const auto choice = fast_choice(g, Outside(g, piece, false), relu)) return *choice;
  }
  return Choice(g, Outside(g, piece, false), relu);
}

class OnednnConvolution final : public ConvolutionEngine {
 public:
  explicit OnednnConvolution(const ConvolutionGeometry& g, bool relu = false)
      : OnednnConvolution(g, choose(g, relu)) {
    relu_ = relu;
  }
  OnednnConvolution(const ConvolutionGeometry& g, const Choice& choice)
      : g_(g),
        images_(choice.outside.x[0]),
        x_piece_(images_ * g.channels * g.windows.in_count()),
        y_piece_(images_ * g.num_output * g.windows.out_count()),
        x_layout_(choice.outside.x_layout),
        y_layout_(choice.outside.y_layout) {
    const onednn::Desc x = choice.outside.x_desc(), y = choice.outside.y_desc(),
                       weight = onednn::row_major(choice.outside.weight);
    forward_.primitive = onednn::Forward(choice.forward);
    forward_.x = operand(x, choice.forward.src_desc(), forward_);
    forward_.weight = operand(weight, choice.forward.weights_desc(), forward_);
    forward_.y = operand(y, choice.forward.dst_desc(), forward_);

    data_.primitive = onednn::BackwardData(choice.backward_data);
    data_.x = operand(x, choice.backward_data.diff_src_desc(), data_);
    data_.weight = operand(weight, choice.backward_data.weights_desc(), data_);
    data_.y = operand(y, choice.backward_data.diff_dst_desc(), data_);

    params_.primitive = onednn::BackwardWeights(choice.backward_weights);
    params_.x = operand(x, choice.backward_weights.src_desc(), params_);
    params_.weight = Operand(engine_, weight, choice.backward_weights.diff_weights_desc(),
                             params_.scratch, true);
    params_.y = operand(y, choice.backward_weights.diff_dst_desc(), params_);
    if (g.bias)
      params_.bias = Operand(engine_, onednn::row_major(choice.outside.bias),
                             choice.backward_weights.diff_bias_desc(), params_.scratch, true);
  }

  void forward(Context& ctx, const Tensor& x_, const Tensor& weight_, const Tensor* bias_,
               Tensor& y_) override {
    const float* x = x_.read(ctx, x_layout_);
    float* y = y_.write(ctx, y_layout_);
    float* scratch = ctx.workspace(forward_.scratch);
    dnnl::memory weight = forward_.weight.load(stream_, weight_.read(ctx), scratch);
    std::unordered_map<int, dnnl::memory> arguments = {{DNNL_ARG_WEIGHTS, weight}};
    if (bias_)
      arguments[DNNL_ARG_BIAS] = dnnl::memory(onednn::row_major({g_.num_output}), engine_,
                                              const_cast<float*>(bias_->read(ctx)));
    for (Index n = 0; n < g_.batch; n += images_, x += x_piece_, y += y_piece_) {
      dnnl::memory result = forward_.y.result(y, scratch);
      arguments[DNNL_ARG_SRC] = forward_.x.load(stream_, x, scratch);
      arguments[DNNL_ARG_DST] = result;
      forward_.primitive.execute(stream_, arguments);
      forward_.y.store(stream_, result, y);
    }
    stream_.wait();
  }

  void backward_data(Context& ctx, const Tensor& dy_, const Tensor& weight_, Tensor& dx_) override {
    const float* dy = dy_.read(ctx, y_layout_);
    float* dx = dx_.write(ctx, x_layout_);
    float* scratch = ctx.workspace(data_.scratch);
    dnnl::memory weight = data_.weight.load(stream_, weight_.read(ctx), scratch);
    for (Index n = 0; n < g_.batch; n += images_, dx += x_piece_, dy += y_piece_) {
      dnnl::memory result = data_.x.result(dx, scratch);
      data_.primitive.execute(stream_, {{DNNL_ARG_DIFF_DST, data_.y.load(stream_, dy, scratch)},
                                        {DNNL_ARG_WEIGHTS, weight},
                                        {DNNL_ARG_DIFF_SRC, result}});
      data_.x.store(stream_, result, dx);
    }
    stream_.wait();
  }

  void backward_params(Context& ctx, const Tensor& x_, const Tensor& dy_, Tensor* dweight_,
                       Tensor* dbias_) override {
    const float* x = x_.read(ctx, x_layout_);
    const float* dy = dy_.read(ctx, y_layout_);
    float* dweight = dweight_ ? dweight_->update(ctx) : nullptr;
    float* dbias = dbias_ ? dbias_->update(ctx) : nullptr;
    float* scratch = ctx.workspace(params_.scratch);
    dnnl::memory weight_result = params_.weight.result(nullptr, scratch), bias_result;
    std::unordered_map<int, dnnl::memory> arguments = {{DNNL_ARG_DIFF_WEIGHTS, weight_result}};
    if (g_.bias) {
      bias_result = params_.bias.result(nullptr, scratch);
      arguments[DNNL_ARG_DIFF_BIAS] = bias_result;
    }
    for (Index n = 0; n < g_.batch; n += images_, x += x_piece_, dy += y_piece_) {
      arguments[DNNL_ARG_SRC] = params_.x.load(stream_, x, scratch);
      arguments[DNNL_ARG_DIFF_DST] = params_.y.load(stream_, dy, scratch);
      params_.primitive.execute(stream_, arguments);
      if (dweight) params_.weight.store(stream_, weight_result, dweight);
      if (dbias) params_.bias.store(stream_, bias_result, dbias);
    }
    stream_.wait();
  }

  /// Forward alone: backward would need another pass over dy anyway.
  bool fuse_relu(const Tensor&, bool backward) override {
    if (!backward && !relu_) *this = OnednnConvolution(g_, true);
    return !backward;
  }

  Index workspace() const override {
    return std::max({forward_.scratch, data_.scratch, params_.scratch});
  }

 private:
  /// One of the three primitives, its operands (values or gradients) and the scratch memory in
  /// floats that they need together.
  struct Pass {
    dnnl::primitive primitive;
    Operand x, weight, bias, y;
    Index scratch = 0;
  };

  Operand operand(const onednn::Desc& outside, const onednn::Desc& inside, Pass& pass) const {
    return Operand(engine_, outside, inside, pass.scratch);
  }

  ConvolutionGeometry g_;
  dnnl::engine engine_ = onednn::cpu_engine();
  dnnl::stream stream_{engine_};
  Index images_, x_piece_, y_piece_;  // at a time; elements of x and y that they take
  Layout x_layout_, y_layout_;
  bool relu_ = false;
  Pass forward_, data_, params_;
};

}  // namespace

std::string why_not_onednn_convolution(const ConvolutionGeometry& g) {
  if (g.windows.axes < 1 || g.windows.axes > 3) return "it takes 1 to 3 spatial axes";
  if (g.force_nd_im2col) return "force_nd_im2col asks for im2col";
  if (g.overhangs()) return "the kernel exceeds the padded bottom";
  if (g.batch == 0 || g.windows.in_count() == 0) return "the bottom is empty";
  try {
    if (!choose(g, false).fast()) return "oneDNN has no fast kernel for it";
  } catch (const dnnl::error& e) {
    return str("oneDNN refuses: ", e.what());
  }
  return {};
}

std::unique_ptr<ConvolutionEngine> make_onednn_convolution(const ConvolutionGeometry& geometry) {
  return onednn::check([&] { return std::make_unique<OnednnConvolution>(geometry); });
}

}  // namespace doppio
