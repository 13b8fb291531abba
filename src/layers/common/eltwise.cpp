#include <algorithm>
#include <cstdint>

#include "core/buffer.hpp"
#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/support/run_layout.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

/// Product, weighted sum or maximum of bottoms of equal shape, element by element.
///
/// The bottoms are folded into the top one by one. If the first two bottoms share a maximum, the
/// gradient goes to the second; a later one must be greater to get it. With stable_prod_grad, the
/// gradient of PROD multiplies the other bottoms instead of dividing the top by one. Source:
/// matches Caffe.
class Eltwise final : public Layer {
 public:
  explicit Eltwise(const LayerParameter& p)
      : operation_(p.eltwise_param().operation()),
        coeffs_(p.eltwise_param().coeff().begin(), p.eltwise_param().coeff().end()),
        stable_(p.eltwise_param().stable_prod_grad()) {
    require_field(operation_ != EltwiseParameter::PROD || coeffs_.empty(), "eltwise_param.coeff",
                  "coeff works with operation SUM, not with PROD");
  }

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const Shape& shape = bottom[0]->shape();
    for (std::size_t k = 1; k < bottom.size(); ++k)
      require(bottom[k]->shape() == shape, "all bottoms need the same shape, but bottom 0 is ",
              shape.text(), " and bottom ", k, " is ", bottom[k]->shape().text());
    require_field(coeffs_.empty() || coeffs_.size() == bottom.size(), "eltwise_param.coeff",
                  "give one coeff per bottom or none: there are ", coeffs_.size(), " for ",
                  bottom.size(), " bottoms");
    top[0]->reshape(shape);
    if (operation_ == EltwiseParameter::MAX) argmax_.resize(shape.count());
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    const Index n = top[0]->count();
    layout_ = run_layout(ctx, bottom);
    const float* a = bottom[0]->data.read(ctx, layout_);
    float* y = top[0]->data.write(ctx, layout_);
    std::int32_t* argmax = operation_ == EltwiseParameter::MAX ? argmax_.write(ctx) : nullptr;
    for (std::size_t k = 1; k < bottom.size(); ++k) {
      const float* x = bottom[k]->data.read(ctx, layout_);
      const bool first = k == 1;
      if (operation_ == EltwiseParameter::PROD) {
        parallel_for(ctx, n, [=] KERNEL(Index i) { y[i] = a[i] * x[i]; });
      } else if (operation_ == EltwiseParameter::SUM) {
        const float ca = first ? coeff(0) : 1, cx = coeff(k);
        parallel_for(ctx, n, [=] KERNEL(Index i) { y[i] = ca * a[i] + cx * x[i]; });
      } else {
        const auto index = static_cast<std::int32_t>(k);
        parallel_for(ctx, n, [=] KERNEL(Index i) {
          const bool keep = first ? a[i] > x[i] : a[i] >= x[i];
          y[i] = keep ? a[i] : x[i];
          argmax[i] = keep ? (first ? 0 : argmax[i]) : index;
        });
      }
      a = y;
    }
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    const Index n = top[0]->count();
    const float* dy = top[0]->grad.read(ctx, layout_);
    for (std::size_t k = 0; k < bottom.size(); ++k) {
      if (!wanted[k]) continue;
      float* dx = bottom[k]->grad.write(ctx, layout_);
      if (operation_ == EltwiseParameter::PROD) {
        product_gradient(ctx, k, top, bottom);
      } else if (operation_ == EltwiseParameter::SUM) {
        const float c = coeff(k);
        parallel_for(ctx, n, [=] KERNEL(Index i) { dx[i] = c * dy[i]; });
      } else {
        const std::int32_t* argmax = argmax_.read(ctx);
        const auto index = static_cast<std::int32_t>(k);
        parallel_for(ctx, n, [=] KERNEL(Index i) { dx[i] = argmax[i] == index ? dy[i] : 0; });
      }
    }
  }

  Follower as_follower(Bottoms bottom, const Blob& x) override {
    const bool plain = std::all_of(coeffs_.begin(), coeffs_.end(), [](float c) { return c == 1; });
    if (operation_ != EltwiseParameter::SUM || !plain || bottom.size() != 2) return {};
    if (bottom[0] == bottom[1]) return {};
    return {.addend = &bottom[bottom[0] == &x ? 1 : 0]->data};
  }

  void product_gradient(Context& ctx, std::size_t k, Tops top, Bottoms bottom) const {
    const Index n = top[0]->count();
    const float* a = top[0]->grad.read(ctx, layout_);
    float* dx = bottom[k]->grad.write(ctx, layout_);
    if (!stable_) {
      const float* x = bottom[k]->data.read(ctx, layout_);
      const float* y = top[0]->data.read(ctx, layout_);
      parallel_for(ctx, n, [=] KERNEL(Index i) { dx[i] = a[i] * (y[i] / x[i]); });
      return;
    }
    for (std::size_t j = 0; j < bottom.size(); ++j) {
      if (j == k) continue;
      const float* x = bottom[j]->data.read(ctx, layout_);
      parallel_for(ctx, n, [=] KERNEL(Index i) { dx[i] = a[i] * x[i]; });
      a = dx;
    }
  }

 private:
  float coeff(std::size_t k) const { return coeffs_.empty() ? 1 : coeffs_[k]; }

  EltwiseParameter::EltwiseOp operation_;
  std::vector<float> coeffs_;
  bool stable_;
  Layout layout_ = Layout::nchw;  // of the last forward pass
  // MAX: index of the bottom that each value of the top came from, in layout_.
  Buffer<std::int32_t> argmax_;
};

DOPPIO_REGISTER_LAYER("Eltwise", Eltwise, .bottoms = at_least(2), .splits_channels = true);

}  // namespace
}  // namespace doppio
