// The engines of LRN, of pooling, and of both fused.
#include "core/bf16.hpp"
#include "cuda/kernels/lrn_and_pooling_kernels.hpp"
#include "layers/normalization/lrn_pooling_engine.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

namespace {

cuda::Maps maps_of(const PoolingGeometry& g, Index images) {
  return {images, g.channels, g.rows.size, g.cols.size, g.layout};
}

/// Groups of channels are laid out like images in NCHW, and like further pixels of a row in NHWC.
cuda::Maps maps_of(const LrnGeometry& g, Index images) {
  const bool as_images = g.layout == Layout::nchw;
  return {as_images ? images * g.group : images, g.group_channels(), g.height,
          as_images ? g.width : g.width * g.group, g.layout};
}

cuda::MapWindows windows_of(const PoolingGeometry& g) {
  return {g.rows, g.cols, g.method == PoolingMethod::max};
}

std::uint8_t* bytes(void* argmax) { return static_cast<std::uint8_t*>(argmax); }
const std::uint8_t* bytes(const void* argmax) { return static_cast<const std::uint8_t*>(argmax); }

class CudaPooling final : public PoolingEngine {
 public:
  explicit CudaPooling(const PoolingGeometry& geometry)
      : PoolingEngine(geometry.layout), g_(geometry) {}

  void forward(Context& ctx, const Tensor& x, Tensor& y, void* argmax) const override {
    if (g_.element == Element::f32) return PoolingEngine::forward(ctx, x, y, argmax);
    const Bf16* from = x.read<Bf16>(ctx, g_.layout);
    run_forward(ctx, x.shape()[0], from, y.write<Bf16>(ctx, g_.layout), argmax);
  }
  void backward(Context& ctx, const Tensor& dy, const void* argmax, Tensor& dx) const override {
    if (g_.element == Element::f32) return PoolingEngine::backward(ctx, dy, argmax, dx);
    const Bf16* from = dy.read<Bf16>(ctx, g_.layout);
    run_backward(ctx, dy.shape()[0], from, argmax, dx.write<Bf16>(ctx, g_.layout));
  }

  void forward_maps(Context& ctx, Index images, const float* x, float* y,
                    void* argmax) const override {
    run_forward(ctx, images, x, y, argmax);
  }
  void backward_maps(Context& ctx, Index images, const float* dy, const void* argmax,
                     float* dx) const override {
    run_backward(ctx, images, dy, argmax, dx);
  }

 private:
  template <class T>
  void run_forward(Context& ctx, Index images, const T* x, T* y, void* argmax) const {
    cuda::pool_forward(ctx, maps_of(g_, images), windows_of(g_), x, y, bytes(argmax));
  }
  template <class T>
  void run_backward(Context& ctx, Index images, const T* dy, const void* argmax, T* dx) const {
    cuda::pool_backward(ctx, maps_of(g_, images), windows_of(g_), dy, bytes(argmax), dx);
  }

  PoolingGeometry g_;
};

class CudaLrn final : public LrnEngine {
 public:
  explicit CudaLrn(const LrnGeometry& geometry) : LrnEngine(geometry.layout), g_(geometry) {}

  void forward(Context& ctx, const Tensor& x, Tensor& y) const override {
    if (g_.element == Element::f32) return LrnEngine::forward(ctx, x, y);
    const Bf16* from = x.read<Bf16>(ctx, g_.layout);
    cuda::lrn_forward(ctx, maps_of(g_, x.shape()[0]), g_.formula, from,
                      y.write<Bf16>(ctx, g_.layout));
  }
  void backward(Context& ctx, const Tensor& x, const Tensor& dy, Tensor& dx) const override {
    if (g_.element == Element::f32) return LrnEngine::backward(ctx, x, dy, dx);
    const Bf16 *from = x.read<Bf16>(ctx, g_.layout), *gradient = dy.read<Bf16>(ctx, g_.layout);
    cuda::lrn_backward(ctx, maps_of(g_, x.shape()[0]), g_.formula, from, gradient,
                       dx.write<Bf16>(ctx, g_.layout));
  }

  void forward_maps(Context& ctx, Index images, const float* x, float* y) const override {
    cuda::lrn_forward(ctx, maps_of(g_, images), g_.formula, x, y);
  }
  void backward_maps(Context& ctx, Index images, const float* x, const float* dy,
                     float* /*workspace*/, float* dx) const override {
    cuda::lrn_backward(ctx, maps_of(g_, images), g_.formula, x, dy, dx);
  }

 private:
  LrnGeometry g_;
};

/// For maps of element type T.
template <class T>
class CudaLrnPooling final : public LrnPoolingEngine {
 public:
  CudaLrnPooling(const LrnGeometry& lrn, const PoolingGeometry& pooling)
      : lrn_(lrn), windows_(windows_of(pooling)) {}

  void forward(Context& ctx, const Tensor& x, Tensor& y, void* argmax) const override {
    const T* from = x.read<T>(ctx, lrn_.layout);
    cuda::lrn_pool_forward(ctx, maps_of(lrn_, x.shape()[0]), lrn_.formula, windows_, from,
                           y.write<T>(ctx, lrn_.layout), bytes(argmax));
  }
  void backward(Context& ctx, const Tensor& x, const Tensor& dy, const void* argmax,
                Tensor& dx) const override {
    const T *from = x.read<T>(ctx, lrn_.layout), *gradient = dy.read<T>(ctx, lrn_.layout);
    cuda::lrn_pool_backward(ctx, maps_of(lrn_, x.shape()[0]), lrn_.formula, windows_, from,
                            gradient, bytes(argmax), dx.write<T>(ctx, lrn_.layout));
  }

 private:
  LrnGeometry lrn_;
  cuda::MapWindows windows_;
};

}  // namespace

std::string why_not_cuda_pooling(const PoolingGeometry& g) {
  if (g.method != PoolingMethod::max && g.method != PoolingMethod::average)
    return "it supports only MAX and AVE";
  return g.has_argmax() && g.argmax_size() > 1 ? "windows have more than 256 pixels" : "";
}

std::unique_ptr<PoolingEngine> make_cuda_pooling(const PoolingGeometry& geometry) {
  return std::make_unique<CudaPooling>(geometry);
}

std::string why_not_cuda_lrn(const LrnGeometry& g) {
  return g.across ? "" : "it supports only ACROSS_CHANNELS";
}

std::unique_ptr<LrnEngine> make_cuda_lrn(const LrnGeometry& geometry) {
  return std::make_unique<CudaLrn>(geometry);
}

std::string why_not_cuda_lrn_pooling(const LrnGeometry& lrn, const PoolingGeometry& pooling) {
  if (lrn.reference || pooling.reference) return "the generic engines were requested";
  if (lrn.group > 1 && lrn.layout == Layout::nhwc) return "it normalizes groups apart only in NCHW";
  const std::string reason = why_not_cuda_lrn(lrn);
  return reason.empty() ? why_not_cuda_pooling(pooling) : reason;
}

std::unique_ptr<LrnPoolingEngine> make_cuda_lrn_pooling(const LrnGeometry& lrn,
                                                        const PoolingGeometry& pooling) {
  if (lrn.element == Element::bf16) return std::make_unique<CudaLrnPooling<Bf16>>(lrn, pooling);
  return std::make_unique<CudaLrnPooling<float>>(lrn, pooling);
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
