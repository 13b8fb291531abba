#include "net/multiply_adds.hpp"

#include "doppio/net.hpp"

namespace doppio {

double multiply_adds(const NetLayer& l) {
  if (l.layer->params.empty() || l.bottoms.empty()) return 0;
  const Shape& weights = l.layer->params[0].shape();
  const Shape& top = l.tops[0]->shape();
  const auto product = [](Index a, Index b) {
    return static_cast<double>(a) * static_cast<double>(b);
  };
  if (l.type.find("Convolution") != l.type.npos) return product(top.count(), weights.count_from(1));
  if (l.type == "Deconvolution") return product(l.bottoms[0]->count(), weights.count_from(1));
  if (l.type == "InnerProduct") return product(top.count() / top[top.axes() - 1], weights.count());
  return 0;
}

double backward_multiply_adds(const NetLayer& l) {
  const double forward = multiply_adds(l);
  return forward > 0 ? forward * (int{l.wanted[0]} + int{l.layer->params[0].needs_grad}) : 0;
}

}  // namespace doppio
