// The engines of LRN, of pooling, and of both together.
#include "cuda/kernels/lrn_pooling_kernels.hpp"
#include "layers/normalization/lrn_pooling_engine.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

namespace {

cuda::Maps maps_of(const PoolingGeometry& g, Index images) {
  return {images, g.channels, g.rows.size, g.cols.size, g.layout};
}

cuda::Maps maps_of(const LrnGeometry& g, Index images) {
  return {images, g.channels, g.height, g.width, g.layout};
}

cuda::MapWindows windows_of(const PoolingGeometry& g) {
  return {g.rows, g.cols, g.method == PoolingMethod::max};
}

std::uint8_t* bytes(void* argmax) { return static_cast<std::uint8_t*>(argmax); }
const std::uint8_t* bytes(const void* argmax) { return static_cast<const std::uint8_t*>(argmax); }

class CudaPooling final : public PoolingEngine {
 public:
  explicit CudaPooling(const PoolingGeometry& geometry) : g_(geometry) {}

  Layout layout() const override { return g_.layout; }
  void forward(Context& ctx, Index images, const float* x, float* y, void* argmax) const override {
    cuda::pool_forward(ctx, maps_of(g_, images), windows_of(g_), x, y, bytes(argmax));
  }
  void backward(Context& ctx, Index images, const float* dy, const void* argmax,
                float* dx) const override {
    cuda::pool_backward(ctx, maps_of(g_, images), windows_of(g_), dy, bytes(argmax), dx);
  }

 private:
  PoolingGeometry g_;
};

class CudaLrn final : public LrnEngine {
 public:
  explicit CudaLrn(const LrnGeometry& geometry) : g_(geometry) {}

  Layout layout() const override { return g_.layout; }
  void forward(Context& ctx, Index images, const float* x, float* y) const override {
    cuda::lrn_forward(ctx, maps_of(g_, images), g_.formula, x, y);
  }
  void backward(Context& ctx, Index images, const float* x, const float* dy, float* /*workspace*/,
                float* dx) const override {
    cuda::lrn_backward(ctx, maps_of(g_, images), g_.formula, x, dy, dx);
  }

 private:
  LrnGeometry g_;
};

class CudaLrnPooling final : public LrnPoolingEngine {
 public:
  CudaLrnPooling(const LrnGeometry& lrn, const PoolingGeometry& pooling)
      : lrn_(lrn), windows_(windows_of(pooling)) {}

  Layout layout() const override { return lrn_.layout; }
  void forward(Context& ctx, Index images, const float* x, float* y, void* argmax) const override {
    cuda::lrn_pool_forward(ctx, maps_of(lrn_, images), lrn_.formula, windows_, x, y, bytes(argmax));
  }
  void backward(Context& ctx, Index images, const float* x, const float* dy, const void* argmax,
                float* dx) const override {
    cuda::lrn_pool_backward(ctx, maps_of(lrn_, images), lrn_.formula, windows_, x, dy,
                            bytes(argmax), dx);
  }

 private:
  LrnGeometry lrn_;
  cuda::MapWindows windows_;
};

}  // namespace

std::string why_not_cuda_pooling(const PoolingGeometry& g) {
  if (g.method != PoolingMethod::max && g.method != PoolingMethod::average)
    return "it knows MAX and AVE only";
  return g.has_argmax() && g.argmax_size() > 1 ? "windows have more than 256 pixels" : "";
}

std::unique_ptr<PoolingEngine> make_cuda_pooling(const PoolingGeometry& geometry) {
  return std::make_unique<CudaPooling>(geometry);
}

std::string why_not_cuda_lrn(const LrnGeometry& g) {
  return g.across ? "" : "it knows ACROSS_CHANNELS only";
}

std::unique_ptr<LrnEngine> make_cuda_lrn(const LrnGeometry& geometry) {
  return std::make_unique<CudaLrn>(geometry);
}

std::string why_not_cuda_lrn_pooling(const LrnGeometry& lrn, const PoolingGeometry& pooling) {
  if (lrn.reference || pooling.reference) return "the generic engines are asked for";
  const std::string reason = why_not_cuda_lrn(lrn);
  return reason.empty() ? why_not_cuda_pooling(pooling) : reason;
}

std::unique_ptr<LrnPoolingEngine> make_cuda_lrn_pooling(const LrnGeometry& lrn,
                                                        const PoolingGeometry& pooling) {
  return std::make_unique<CudaLrnPooling>(lrn, pooling);
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
