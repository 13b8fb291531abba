#include "layers/pooling/engine.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

std::unique_ptr<PoolingEngine> make_pooling_engine(const std::string& layer,
                                                   const PoolingGeometry& geometry) {
  static constexpr EngineEntry<PoolingEngine, PoolingGeometry> engines[] = {
#ifdef DOPPIO_FOR_CUDA
      {"cuda", why_not_cuda_pooling, make_cuda_pooling},
#else
      {"blocked", why_not_blocked_pooling, make_blocked_pooling},
      {"tiled", why_not_tiled_pooling, make_tiled_pooling},
#endif
      {"generic", [](const PoolingGeometry&) { return std::string(); }, make_generic_pooling},
  };
  return make_engine<PoolingEngine>(layer, "pooling", engines, geometry.reference ? "generic" : "",
                                    geometry);
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
