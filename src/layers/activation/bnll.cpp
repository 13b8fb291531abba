#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/support/elementwise.hpp"

namespace doppio {
namespace {

/// y = log(1 + exp(x)), a smooth ReLU. Source: matches Caffe.
struct Bnll {
  explicit Bnll(const LayerParameter&) {}
  bool keeps_input() const { return true; }
  /// exp() is only given negative numbers, so it cannot overflow.
  HOST_DEVICE float value(float x) const {
    return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
  }
  HOST_DEVICE float slope(float x, float) const { return 1 / (1 + std::exp(-x)); }
};

using BnllLayer = Elementwise<Bnll>;
DOPPIO_REGISTER_LAYER("BNLL", BnllLayer, .in_place = true, .backward_reads_top = false,
                      .splits_channels = true);

}  // namespace
}  // namespace doppio
