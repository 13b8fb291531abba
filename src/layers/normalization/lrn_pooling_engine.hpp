#pragma once
#include <memory>
#include <string>

#include "layers/normalization/lrn_engine.hpp"
#include "layers/pooling/engine.hpp"

namespace doppio {

/// One way to compute LRN and the pooling after it together, so that what is between them never
/// leaves the cache. `argmax` is the pooling's.
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

/// Both engines in turn for each image, whose maps stay in a core's cache between them; CPU only.
std::string why_not_lrn_pooling_by_image(const LrnGeometry& lrn, const PoolingGeometry& pooling);
std::unique_ptr<LrnPoolingEngine> make_lrn_pooling_by_image(const LrnGeometry& lrn,
                                                            const PoolingGeometry& pooling);

inline namespace DOPPIO_BUILD {

/// Makes the engine of this device for both; null if none can, whatever the maps' layout.
std::unique_ptr<LrnPoolingEngine> make_lrn_pooling_engine(const std::string& layer,
                                                          const LrnGeometry& lrn,
                                                          const PoolingGeometry& pooling);

/// One kernel, which never writes what is between; GPU only (src/cuda).
std::string why_not_cuda_lrn_pooling(const LrnGeometry& lrn, const PoolingGeometry& pooling);
std::unique_ptr<LrnPoolingEngine> make_cuda_lrn_pooling(const LrnGeometry& lrn,
                                                        const PoolingGeometry& pooling);

}  // namespace DOPPIO_BUILD
}  // namespace doppio
