#include "layers/normalization/lrn_engine.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

std::unique_ptr<LrnEngine> make_lrn_engine(const std::string& layer, const LrnGeometry& geometry) {
  static constexpr EngineEntry<LrnEngine, LrnGeometry> engines[] = {
#ifdef DOPPIO_FOR_CUDA
      {"cuda", why_not_cuda_lrn, make_cuda_lrn},
#else
      {"blocked", why_not_blocked_lrn, make_blocked_lrn},
#endif
      {"generic", [](const LrnGeometry&) { return std::string(); }, make_generic_lrn},
  };
  return make_engine<LrnEngine>(layer, "LRN", engines, geometry.reference ? "generic" : "",
                                geometry);
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
