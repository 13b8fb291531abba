#include "doppio.pb.h"
#include "doppio/registry.hpp"
#include "layers/elementwise.hpp"
#include "math/exp.hpp"

namespace doppio {
namespace {

/// y = x for x > 0, else alpha (exp(x) - 1), whose slope is y + alpha.
///
/// In place, slope() is given y for x, which has the same sign unless alpha is negative.
/// Source: Clevert et al. (2015); matches Caffe.
struct Elu {
  explicit Elu(const LayerParameter& p) : alpha(p.elu_param().alpha()) {}
  bool keeps_input() const { return alpha < 0; }
  HOST_DEVICE float value(float x) const { return x > 0 ? x : alpha * fast_expm1(x); }
  HOST_DEVICE float slope(float x, float y) const { return x > 0 ? 1.0f : y + alpha; }

  float alpha;
};

using EluLayer = Elementwise<Elu>;
DOPPIO_REGISTER_LAYER("ELU", EluLayer, .in_place = true);

}  // namespace
}  // namespace doppio
