#include <algorithm>

#include "net/passes.hpp"

namespace doppio {

namespace {

bool is_plain_relu(const LayerParameter& layer, const GraphLayer& node) {
  return layer.type() == "ReLU" && layer.relu_param().negative_slope() == 0 &&
         node.bottoms == node.tops && node.loss_weights[0] == 0;
}

bool touches(const GraphLayer& node, int blob) {
  const auto among = [&](const std::vector<int>& blobs) {
    return std::find(blobs.begin(), blobs.end(), blob) != blobs.end();
  };
  return among(node.bottoms) || among(node.tops);
}

}  // namespace

std::vector<int> relus_to_fuse(const SourcedNet& source, const Graph& graph) {
  std::vector<int> relus(graph.layers.size(), -1);
  for (std::size_t i = 0; i < graph.layers.size(); ++i) {
    const GraphLayer& node = graph.layers[i];
    if (node.tops.size() != 1 || node.bottoms == node.tops || node.loss_weights[0] != 0) continue;
    const auto next = std::find_if(graph.layers.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                                   graph.layers.end(),
                                   [&](const GraphLayer& l) { return touches(l, node.tops[0]); });
    if (next == graph.layers.end()) continue;
    const int k = static_cast<int>(next - graph.layers.begin());
    if (is_plain_relu(source.net.layer(k), *next)) relus[i] = k;
  }
  return relus;
}

}  // namespace doppio
