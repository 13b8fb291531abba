#include "solver/divergence.hpp"

#include <algorithm>
#include <cmath>

#include "doppio/net.hpp"

namespace doppio {

namespace {

bool finite(const Tensor& tensor) {
  const float* v = tensor.read_host();
  return std::all_of(v, v + tensor.count(), [](float x) { return std::isfinite(x); });
}

bool has_discarded_blobs(const Net& net) {
  for (const NetLayer& l : net.layers())
    for (const Blob* top : l.tops)
      if (top->data.is_released()) return true;
  return false;
}

}  // namespace

std::string first_non_finite(Net& net) {
  // If the net saves memory, released blobs are computed again from the same batch.
  const bool again = has_discarded_blobs(net);
  for (std::size_t i = 0; i < net.layers().size(); ++i) {
    const NetLayer& l = net.layers()[i];
    const std::string layer = str("layer '", l.name, "' (", l.type, ")");
    for (std::size_t j = 0; j < l.layer->params.size(); ++j)
      if (!finite(l.layer->params[j].data))
        return str("parameter ", j, " of ", layer,
                   " is not finite, so an earlier update was too large");
    if (again && !l.traits.is_source) net.forward_layer(i);
    for (std::size_t t = 0; t < l.tops.size(); ++t)
      if (!finite(l.tops[t]->data))
        return str("the first such value is in blob '", l.top_names[t], "', a top of ", layer,
                   l.bottoms.empty() ? ", so the data holds it"
                                     : ", whose inputs and parameters are finite");
  }
  return {};
}

}  // namespace doppio
