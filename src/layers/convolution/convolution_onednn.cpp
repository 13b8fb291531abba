#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>

#include "core/bf16.hpp"
#include "core/threads.hpp"
#include "layers/convolution/convolution_onednn_choice.hpp"
#include "layers/convolution/engine.hpp"
#include "layers/convolution/versioned_cache.hpp"
#include "math/full_width.hpp"

namespace doppio {

namespace {

using onednn::Choice;
using onednn::choose;
using onednn::Dims;
using onednn::Fused;
using onednn::Operand;

/// to[i] = from[i] in bfloat16 where gate[i] > 0, else 0.
void round_where_positive(const float* from, const float* gate, Index n, std::uint16_t* to) {
  constexpr Index kRun = 4096;
#pragma omp parallel for schedule(static) if (n > kLittleWork)
  for (Index first = 0; first < n; first += kRun)
    at_full_width([=, last = std::min(first + kRun, n)] {
      for (Index i = first; i < last; ++i) {
        const std::uint16_t value = to_bf16(from[i]);
        to[i] = gate[i] > 0 ? value : 0;
      }
    });
}

/// Returns the cost of a pass in elements; elements_for_products() converts its products.
Index work(const ConvolutionGeometry& g) {
  const Index y = g.num_output * g.windows.out_count();
  const Index products = y * g.windows.kernel_count() * g.channels / g.group;
  return g.batch * (g.channels * g.windows.in_count() + y + elements_for_products(products));
}

class OnednnConvolution final : public ConvolutionEngine {
 public:
  explicit OnednnConvolution(const ConvolutionGeometry& g, Fused fused = {})
      : OnednnConvolution(g, choose(g, fused)) {
    fused_ = fused;
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
    rounds_dy_ = choice.outside.y_layout == Layout::nchw_blocked &&
                 choice.backward_data.diff_dst_desc() == blocked_bf16(choice.outside.y) &&
                 choice.backward_weights.diff_dst_desc() == blocked_bf16(choice.outside.y);
    if (g.bias)
      params_.bias = Operand(engine_, onednn::row_major(choice.outside.bias),
                             choice.backward_weights.diff_bias_desc(), params_.scratch, true);
  }

  void forward(Context& ctx, const Tensor& x_tensor, const Tensor& weight_tensor,
               const Tensor* bias_tensor, Tensor& y_tensor) override {
    const ThreadsFor threads(work(g_));
    const float* x = x_tensor.read(ctx, x_layout_);
    float* y = y_tensor.write(ctx, y_layout_);
    float* scratch = ctx.workspace(forward_.scratch);
    dnnl::memory weight = load_weight(ctx, weight_tensor, scratch);
    std::unordered_map<int, dnnl::memory> arguments = {{DNNL_ARG_WEIGHTS, weight}};
    if (bias_tensor)
      arguments[DNNL_ARG_BIAS] = dnnl::memory(onednn::row_major({g_.num_output}), engine_,
                                              const_cast<float*>(bias_tensor->read(ctx)));
    if (addend_)
      arguments[onednn::kAddend] =
          forward_.y.result(const_cast<float*>(addend_->read(ctx, y_layout_)), nullptr);
    for (Index n = 0; n < g_.batch; n += images_, x += x_piece_, y += y_piece_) {
      dnnl::memory result = forward_.y.result(y, scratch);
      arguments[DNNL_ARG_SRC] = forward_.x.load(stream_, x, scratch);
      arguments[DNNL_ARG_DST] = result;
      forward_.primitive.execute(stream_, arguments);
      forward_.y.store(stream_, result, y);
    }
    stream_.wait();
  }

  void backward_data(Context& ctx, const Tensor& dy_tensor, const Tensor& weight_tensor,
                     Tensor& dx_tensor) override {
    const ThreadsFor threads(work(g_));
    const float* dy = dy_tensor.read(ctx, y_layout_);
    const float* gate = rectified(ctx);
    float* dx = dx_tensor.write(ctx, x_layout_);
    float* scratch = ctx.workspace(data_.scratch);
    dnnl::memory weight = data_.weight.load(stream_, weight_tensor.read(ctx), scratch);
    for (Index n = 0; n < g_.batch; n += images_, dx += x_piece_, dy += y_piece_) {
      dnnl::memory result = data_.x.result(dx, scratch);
      data_.primitive.execute(stream_, {{DNNL_ARG_DIFF_DST, load_dy(data_, dy, gate, n, scratch)},
                                        {DNNL_ARG_WEIGHTS, weight},
                                        {DNNL_ARG_DIFF_SRC, result}});
      data_.x.store(stream_, result, dx);
    }
    stream_.wait();
  }

  void backward_params(Context& ctx, const Tensor& x_tensor, const Tensor& dy_tensor,
                       Tensor* dweight_tensor, Tensor* dbias_tensor) override {
    const ThreadsFor threads(work(g_));
    const float* x = x_tensor.read(ctx, x_layout_);
    const float* dy = dy_tensor.read(ctx, y_layout_);
    const float* gate = rectified(ctx);
    float* dweight = dweight_tensor ? dweight_tensor->update(ctx) : nullptr;
    float* dbias = dbias_tensor ? dbias_tensor->update(ctx) : nullptr;
    float* scratch = ctx.workspace(params_.scratch);
    dnnl::memory weight_result = params_.weight.result(nullptr, scratch), bias_result;
    std::unordered_map<int, dnnl::memory> arguments = {{DNNL_ARG_DIFF_WEIGHTS, weight_result}};
    if (g_.bias) {
      bias_result = params_.bias.result(nullptr, scratch);
      arguments[DNNL_ARG_DIFF_BIAS] = bias_result;
    }
    for (Index n = 0; n < g_.batch; n += images_, x += x_piece_, dy += y_piece_) {
      arguments[DNNL_ARG_SRC] = params_.x.load(stream_, x, scratch);
      arguments[DNNL_ARG_DIFF_DST] = load_dy(params_, dy, gate, n, scratch);
      params_.primitive.execute(stream_, arguments);
      if (dweight) params_.weight.store(stream_, weight_result, dweight);
      if (dbias) params_.bias.store(stream_, bias_result, dbias);
    }
    stream_.wait();
  }

  std::size_t fuse(Followers followers, const Tensor& y, bool backward) override {
    const Tensor* addend = followers.empty() ? nullptr : followers[0].addend;
    if (addend && !can_sum()) return fuse({}, y, backward);
    const Followers rest = followers.subspan(addend ? 1 : 0);
    // With backward, fuse a ReLU only if dy is rounded anyway: otherwise it needs another pass over
    // dy, as the ReLU layer does.
    const bool relu = begins_with_relu(rest) && (!backward || rounds_dy_);
    if (const Fused fused{.sum = addend != nullptr, .relu = relu}; fused != fused_) rebuild(fused);
    addend_ = addend;
    rectified_ = relu && backward ? &y : nullptr;
    return std::size_t{addend != nullptr} + std::size_t{relu};
  }

  bool cache_weights() override { return caches_ = forward_.weight.copy_size() > 0; }
  Index cached_weights() const override { return caches_ ? forward_.weight.copy_size() : 0; }

  Index workspace() const override {
    return std::max({forward_.scratch, data_.scratch, params_.scratch});
  }

 private:
  /// One of the three primitives, its operands (values or gradients) and their total scratch memory
  /// in floats.
  struct Pass {
    dnnl::primitive primitive;
    Operand x, weight, bias, y;
    Index scratch = 0;
  };

  void rebuild(Fused fused) {
    const ThreadsFor threads(work(g_));
    const std::optional<bool> can_sum = can_sum_;
    *this = OnednnConvolution(g_, fused);
    can_sum_ = can_sum;
  }

  /// Returns whether a sum only costs reading the addend: the same kernel runs, on the whole batch.
  bool can_sum() {
    if (can_sum_) return *can_sum_;
    const Choice with = choose(g_, {.sum = true}), without = choose(g_, {});
    can_sum_ = with.fast() && with.outside.x[0] == g_.batch &&
               with.forward.dst_desc() == with.outside.y_desc() &&
               std::string_view(with.forward.impl_info_str()) == without.forward.impl_info_str();
    return *can_sum_;
  }

  static onednn::Desc blocked_bf16(const Dims& dims) {
    return dims.size() == 4 ? onednn::blocked(dims, onednn::Type::bf16) : onednn::Desc();
  }

  const float* rectified(const Context& ctx) const {
    return rectified_ ? rectified_->read(ctx, y_layout_) : nullptr;
  }

  /// Returns dy from image n on, images_ at a time; 0 where y, unless null, is not positive.
  dnnl::memory load_dy(const Pass& pass, const float* dy, const float* y, Index n, float* scratch) {
    if (!y) return pass.y.load(stream_, dy, scratch);
    dnnl::memory inside = pass.y.result(nullptr, scratch);
    round_where_positive(dy, y + n / images_ * y_piece_, y_piece_,
                         static_cast<std::uint16_t*>(inside.get_data_handle()));
    return inside;
  }

  Operand operand(const onednn::Desc& outside, const onednn::Desc& inside, Pass& pass) const {
    return Operand(engine_, outside, inside, pass.scratch);
  }

  dnnl::memory load_weight(Context& ctx, const Tensor& weight, float* scratch) {
    const Operand& operand = forward_.weight;
    if (!caches_) return operand.load(stream_, weight.read(ctx), scratch);
    return operand.loaded(
        cache_.of(ctx, weight, operand.copy_size(),
                  [&](const float* from, float* to) { operand.copy(stream_, from, to); }));
  }

  ConvolutionGeometry g_;
  dnnl::engine engine_ = onednn::cpu_engine();
  dnnl::stream stream_{engine_};
  Index images_, x_piece_, y_piece_;  // images at a time; their elements of x and y
  Layout x_layout_, y_layout_;
  Fused fused_;
  const Tensor* addend_ = nullptr;  // of fused_.sum
  std::optional<bool> can_sum_;     // set by can_sum()
  bool caches_ = false;
  bool rounds_dy_ = false;             // from blocks of floats to blocks of bfloat16
  const Tensor* rectified_ = nullptr;  // the top, if backward applies a fused ReLU
  VersionedCache cache_;               // reordered weights
  Pass forward_, data_, params_;
};

}  // namespace

std::string why_not_onednn_convolution(const ConvolutionGeometry& g) {
  if (g.windows.axes < 1 || g.windows.axes > 3) return "it supports only 1 to 3 spatial axes";
  if (g.force_nd_im2col) return "force_nd_im2col asks for im2col";
  if (g.overhangs()) return "the kernel exceeds the padded bottom";
  if (g.batch == 0 || g.windows.in_count() == 0) return "the bottom is empty";
  constexpr Index kMaxIndex = std::numeric_limits<std::int32_t>::max();
  for (Index i = 0; i < g.windows.axes; ++i)
    if (g.windows.axis[i].in + 2 * g.windows.axis[i].pad > kMaxIndex)
      return "its indices end at 2^31";
  if (std::max({g.batch, g.channels, g.num_output}) > kMaxIndex) return "its indices end at 2^31";
  try {
    const Choice choice = choose(g, {});
    if (!choice.fast()) return "oneDNN has no fast kernel for it";
    // oneDNN may accept a description but fail to generate code. It caches generated code.
    OnednnConvolution(g, choice);
  } catch (const dnnl::error& e) {
    return str("oneDNN refuses: ", e.what());
  }
  return {};
}

std::unique_ptr<ConvolutionEngine> make_onednn_convolution(const ConvolutionGeometry& geometry) {
  const ThreadsFor threads(work(geometry));
  return onednn::check([&] { return std::make_unique<OnednnConvolution>(geometry); });
}

}  // namespace doppio
