#pragma once
#include <memory>
#include <string>

#include "layers/normalization/lrn_engine.hpp"
#include "layers/pooling/engine.hpp"

namespace doppio {

/// An implementation of LRN fused with the pooling after it, so that the values between them stay
/// in the cache. `argmax` is the pooling's.
class LrnPoolingEngine {
 public:
  virtual ~LrnPoolingEngine() = default;
  /// Floats of Context::workspace() that the passes need.
  virtual Index workspace(Index /*images*/) const { return 0; }
  /// y = the pooled maps.
  virtual void forward(Context& ctx, const Tensor& x, Tensor& y, void* argmax) const = 0;
  /// dx = the gradient of x; dy is that of the pooled maps.
  virtual void backward(Context& ctx, const Tensor& x, const Tensor& dy, const void* argmax,
                        Tensor& dx) const = 0;
};

/// Runs both engines image by image, so that the maps stay in a core's cache; CPU only.
std::string why_not_lrn_pooling_by_image(const LrnGeometry& lrn, const PoolingGeometry& pooling);
std::unique_ptr<LrnPoolingEngine> make_lrn_pooling_by_image(const LrnGeometry& lrn,
                                                            const PoolingGeometry& pooling);

inline namespace DOPPIO_BUILD {

/// Creates this device's engine for both, for maps in any layout; null if there is none.
std::unique_ptr<LrnPoolingEngine> make_lrn_pooling_engine(const std::string& layer,
                                                          const LrnGeometry& lrn,
                                                          const PoolingGeometry& pooling);

/// One kernel, which never writes the values between them; GPU only (src/cuda).
std::string why_not_cuda_lrn_pooling(const LrnGeometry& lrn, const PoolingGeometry& pooling);
std::unique_ptr<LrnPoolingEngine> make_cuda_lrn_pooling(const LrnGeometry& lrn,
                                                        const PoolingGeometry& pooling);

}  // namespace DOPPIO_BUILD
}  // namespace doppio
