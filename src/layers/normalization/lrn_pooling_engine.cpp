#include "layers/normalization/lrn_pooling_engine.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

std::unique_ptr<LrnPoolingEngine> make_lrn_pooling_engine(const std::string& layer,
                                                          const LrnGeometry& lrn,
                                                          const PoolingGeometry& pooling) {
  static constexpr EngineEntry<LrnPoolingEngine, LrnGeometry, PoolingGeometry> engines[] = {
#ifdef DOPPIO_FOR_CUDA
      {"cuda", why_not_cuda_lrn_pooling, make_cuda_lrn_pooling},
#else
      {"image", why_not_lrn_pooling_by_image, make_lrn_pooling_by_image},
#endif
  };
  return make_engine<LrnPoolingEngine>(layer, "LRN and pooling", engines, "", lrn, pooling);
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
