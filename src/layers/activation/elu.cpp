#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/support/elementwise.hpp"
#include "math/exp.hpp"

namespace doppio {
namespace {

/// y = lambda x for x > 0, else lambda alpha (exp(x) - 1), whose slope is y + lambda alpha.
///
/// In place, slope() is given y for x, which has the same sign unless a parameter is negative.
/// Source: Clevert et al. (2015); matches Caffe, with the lambda of NVCaffe.
struct Elu {
  explicit Elu(const LayerParameter& p)
      : lambda(p.elu_param().lambda()), below(lambda * p.elu_param().alpha()) {}
  bool keeps_input() const { return lambda <= 0 || below < 0; }
  HOST_DEVICE float value(float x) const { return x > 0 ? lambda * x : below * fast_expm1(x); }
  HOST_DEVICE float slope(float x, float y) const { return x > 0 ? lambda : y + below; }

  float lambda, below;
};

using EluLayer = Elementwise<Elu>;
DOPPIO_REGISTER_LAYER("ELU", EluLayer, .in_place = true, .splits_channels = true);

}  // namespace
}  // namespace doppio
