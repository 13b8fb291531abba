#include <algorithm>

#include "net/passes/passes.hpp"

namespace doppio {

namespace {

bool is_plain_relu(const LayerParameter& layer, const GraphLayer& node) {
  return layer.type() == "ReLU" && layer.relu_param().negative_slope() == 0 &&
         node.bottoms == node.tops && node.loss_weights[0] == 0;
}

bool is_scale_of_channels(const LayerParameter& layer, const GraphLayer& node) {
  const ScaleParameter& p = layer.scale_param();
  return layer.type() == "Scale" && p.axis() == 1 && p.num_axes() == 1 && p.bias_term() &&
         node.bottoms == node.tops && node.loss_weights[0] == 0;
}

bool is_plain_sum(const LayerParameter& layer, const GraphLayer& node) {
  const EltwiseParameter& p = layer.eltwise_param();
  return layer.type() == "Eltwise" && p.operation() == EltwiseParameter::SUM &&
         std::all_of(p.coeff().begin(), p.coeff().end(), [](float c) { return c == 1; }) &&
         node.bottoms.size() == 2 && node.bottoms[0] != node.bottoms[1];
}

/// Finds for each layer the one that is the next to use its only top, -1 if there is none.
class NextUsers {
 public:
  explicit NextUsers(const Graph& graph) : next_(graph.layers.size(), -1) {
    std::vector<int> user(graph.blobs.size(), -1);  // of each blob, the first after layer i
    for (std::size_t i = graph.layers.size(); i-- > 0;) {
      const GraphLayer& node = graph.layers[i];
      if (node.tops.size() == 1 && node.loss_weights[0] == 0)
        next_[i] = user[static_cast<std::size_t>(node.tops[0])];
      for (const std::vector<int>* blobs : {&node.bottoms, &node.tops})
        for (const int blob : *blobs) user[static_cast<std::size_t>(blob)] = static_cast<int>(i);
    }
  }
  int operator()(std::size_t layer) const { return next_[layer]; }

 private:
  std::vector<int> next_;
};

}  // namespace

std::vector<int> scales_to_fuse(const SourcedNet& source, const Graph& graph) {
  const NextUsers next_user(graph);
  std::vector<int> scales(graph.layers.size(), -1);
  for (std::size_t i = 0; i < graph.layers.size(); ++i) {
    if (source.net.layer(static_cast<int>(i)).type() != "BatchNorm") continue;
    const int k = next_user(i);
    if (k >= 0 &&
        is_scale_of_channels(source.net.layer(k), graph.layers[static_cast<std::size_t>(k)]))
      scales[i] = k;
  }
  return scales;
}

std::vector<int> norms_to_fuse(const SourcedNet& source, const Graph& graph) {
  const NextUsers next_user(graph);
  std::vector<int> norms(graph.layers.size(), -1);
  for (std::size_t i = 0; i < graph.layers.size(); ++i) {
    const int k = next_user(i);
    if (k >= 0 && source.net.layer(k).type() == "BatchNorm" &&
        graph.layers[static_cast<std::size_t>(k)].loss_weights[0] == 0)
      norms[i] = k;
  }
  return norms;
}

std::vector<int> sums_to_fuse(const SourcedNet& source, const Graph& graph) {
  const NextUsers next_user(graph);
  const std::vector<int> norms = norms_to_fuse(source, graph);
  const std::vector<int> scales = scales_to_fuse(source, graph);
  std::vector<int> sums(graph.layers.size(), -1);
  for (std::size_t i = 0; i < graph.layers.size(); ++i) {
    std::size_t last = i;  // of the layers that make the top
    for (const std::vector<int>* behind : {&norms, &scales})
      if ((*behind)[last] == static_cast<int>(last) + 1) ++last;
    const int k = next_user(last);
    if (k == static_cast<int>(last) + 1 && graph.layers[last].tops == graph.layers[i].tops &&
        is_plain_sum(source.net.layer(k), graph.layers[static_cast<std::size_t>(k)]))
      sums[i] = k;
  }
  return sums;
}

std::vector<int> pools_to_fuse(const SourcedNet& source, const Graph& graph) {
  const NextUsers next_user(graph);
  std::vector<int> pools(graph.layers.size(), -1);
  for (std::size_t i = 0; i < graph.layers.size(); ++i) {
    if (source.net.layer(static_cast<int>(i)).type() != "LRN") continue;
    const int k = next_user(i);
    if (k < 0) continue;
    const GraphLayer& node = graph.layers[static_cast<std::size_t>(k)];
    if (source.net.layer(k).type() == "Pooling" && node.tops.size() == 1 &&
        node.loss_weights[0] == 0)
      pools[i] = k;
  }
  return pools;
}

std::vector<int> relus_to_fuse(const SourcedNet& source, const Graph& graph) {
  const NextUsers next_user(graph);
  const std::vector<int> scales = scales_to_fuse(source, graph);
  std::vector<int> relus(graph.layers.size(), -1);
  for (std::size_t i = 0; i < graph.layers.size(); ++i) {
    const bool scaled = scales[i] >= 0;
    const bool norm = source.net.layer(static_cast<int>(i)).type() == "BatchNorm";
    if (graph.layers[i].bottoms == graph.layers[i].tops && !norm) continue;
    const int k = next_user(scaled ? static_cast<std::size_t>(scales[i]) : i);
    if (k >= 0 && is_plain_relu(source.net.layer(k), graph.layers[static_cast<std::size_t>(k)]))
      relus[i] = k;
  }
  return relus;
}

}  // namespace doppio
