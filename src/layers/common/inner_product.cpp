#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/support/precision.hpp"
#include "layers/support/sizes.hpp"
#include "math/accumulate.hpp"
#include "math/filler.hpp"
#include "math/gemm.hpp"
#include "math/kernel.hpp"
#include "math/per_channel.hpp"

namespace doppio {
namespace {

/// dbias[n] = beta * dbias[n] + sum of dy[m, n] over the M rows.
void add_bias_gradient(Context& ctx, Index M, Index N, const float* dy, const AddTo& dbias) {
  if constexpr (kDevice == Device::cuda)  // N threads would not fill it
    sum_per_channel(ctx, {M, N, 1, Layout::nhwc}, dbias.beta != 0, dbias.values,
                    [=] KERNEL(Index, Index i) { return dy[i]; });
  else
    parallel_for(ctx, N, [=, sums = dbias.values, first = dbias.beta == 0] KERNEL(Index n) {
      double sum = 0;
      for (Index m = 0; m < M; ++m) sum += dy[m * N + n];
      sums[n] = (first ? 0.0f : sums[n]) + static_cast<float>(sum);
    });
}

/// y = x W^T + bias, where the axes of x from `axis` on are flattened to K elements.
///
/// x is M x K, y is M x N with N = num_output; the top keeps the axes before `axis`. Params: weight
/// (N x K, or K x N if `transpose`), bias (N). Source: matches Caffe.
class InnerProduct final : public Layer {
 public:
  explicit InnerProduct(const LayerParameter& p)
      : name_(p.name()),
        p_(p.inner_product_param()),
        precision_(read_precision(p)),
        N_(p_.num_output()) {
    require_field(
        N_ > 0, kOutputs,
        p_.has_num_output() ? "num_output must be at least 1, it is 0" : "num_output is missing");
  }

  void reshape(Context& ctx, Bottoms bottom, Tops top) override {
    const Shape& shape = bottom[0]->shape();
    const Index axis = shape.canonical(p_.axis());
    M_ = shape.count_before(axis);
    K_ = shape.count_from(axis);
    std::vector<Index> dims(shape.dims().begin(), shape.dims().begin() + axis);
    dims.push_back(N_);
    top[0]->reshape(checked_shape(std::move(dims), kOutputs));
    make_params(ctx);
    precision_ = supported_precision(ctx, precision_, name_);
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    const float* x = bottom[0]->data.read(ctx);
    const float* weight = params[0].data.read(ctx);
    float* y = top[0]->data.write(ctx);
    gemm(ctx, Transpose::no, p_.transpose() ? Transpose::no : Transpose::yes, M_, N_, K_, 1, x,
         weight, 0, y, precision_);
    if (!p_.bias_term()) return;
    const float* bias = params[1].data.read(ctx);
    const Index N = N_;
    parallel_for(ctx, {1, M_, N_},
                 [=] KERNEL(Index, Index m, Index n) { y[m * N + n] += bias[n]; });
  }

  Scratch scratch() const override {
    const Index floats =
        std::max(gemm_workspace(M_, N_, K_, precision_), gemm_workspace(N_, K_, M_, precision_));
    return {.workspace = floats * static_cast<Index>(sizeof(float))};
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (M_ == 0) return;
    const float* dy = top[0]->grad.read(ctx);
    if (params[0].needs_grad) {
      const float* x = bottom[0]->data.read(ctx);
      const AddTo dweight = add_to(params[0].grad, ctx);
      if (p_.transpose())
        gemm(ctx, Transpose::yes, Transpose::no, K_, N_, M_, 1, x, dy, dweight.beta, dweight.values,
             precision_);
      else
        gemm(ctx, Transpose::yes, Transpose::no, N_, K_, M_, 1, dy, x, dweight.beta, dweight.values,
             precision_);
    }
    if (p_.bias_term() && params[1].needs_grad)
      add_bias_gradient(ctx, M_, N_, dy, add_to(params[1].grad, ctx));
    if (wanted[0])
      gemm(ctx, Transpose::no, p_.transpose() ? Transpose::yes : Transpose::no, M_, K_, N_, 1, dy,
           params[0].data.read(ctx), 0, bottom[0]->grad.write(ctx), precision_);
  }

 private:
  static constexpr const char* kOutputs = "inner_product_param.num_output";

  void make_params(const Context& ctx) {
    const Shape weight_shape =
        checked_shape(p_.transpose() ? std::vector{K_, N_} : std::vector{N_, K_}, kOutputs);
    if (!params.empty()) {
      require_field(params[0].shape() == weight_shape, "bottom", "the bottom now has ", K_,
                    " inputs for each output but the weights were made as ",
                    params[0].shape().text(), "; only the axes before axis ", p_.axis(),
                    " may change");
      return;
    }
    params.resize(p_.bias_term() ? 2 : 1);
    params[0].reshape(weight_shape);
    fill(ctx, p_.weight_filler(), name_, 0, params[0].data, "weight_filler",
         p_.transpose() ? 1 : 0);
    if (!p_.bias_term()) return;
    params[1].reshape({N_});
    fill(ctx, p_.bias_filler(), name_, 1, params[1].data, "bias_filler");
  }

  std::string name_;
  InnerProductParameter p_;
  Precision precision_;
  Index M_ = 0, N_ = 0, K_ = 0;
};

DOPPIO_REGISTER_LAYER("InnerProduct", InnerProduct, .backward_reads_top = false);

}  // namespace
}  // namespace doppio
