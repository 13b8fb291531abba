#include <map>
#include <utility>

#include "net/passes/passes.hpp"

namespace doppio {

namespace {

using Producer = std::pair<int, int>;  // (layer, top)

bool is_loss(const LayerParameter& layer) {
  const auto* entry = LayerRegistry::instance().find_or_null(layer.type(), Device::cpu);
  return entry && entry->traits.is_loss;
}

/// Returns the loss weight of a top: as specified, or 1 for the first top of a loss layer.
float loss_weight(const LayerParameter& layer, int top) {
  if (layer.loss_weight_size() > 0)
    return top < layer.loss_weight_size() ? layer.loss_weight(top) : 0;
  return top == 0 && is_loss(layer) ? 1.0f : 0.0f;
}

/// Counts the readers of every top and finds the producer of every bottom. An in-place layer makes
/// a new version of its blob, so a name refers to the latest version.
struct Consumers {
  std::map<Producer, int> count;
  std::map<std::pair<int, int>, Producer> of_bottom;

  explicit Consumers(const NetParameter& net) {
    std::map<std::string, Producer> latest;
    for (int i = 0; i < net.layer_size(); ++i) {
      const LayerParameter& layer = net.layer(i);
      for (int b = 0; b < layer.bottom_size(); ++b)
        if (const auto it = latest.find(layer.bottom(b)); it != latest.end()) {
          of_bottom.emplace(std::pair{i, b}, it->second);
          ++count[it->second];
        }
      for (int t = 0; t < layer.top_size(); ++t) {
        latest[layer.top(t)] = {i, t};
        if (loss_weight(layer, t) != 0) ++count[{i, t}];  // the loss reads the top too
      }
    }
  }
};

std::string split_name(const LayerParameter& layer, int top) {
  return layer.top(top) + "_" + layer.name() + "_" + std::to_string(top) + "_split";
}

std::string split_top_name(const LayerParameter& layer, int top, int k) {
  return split_name(layer, top) + "_" + std::to_string(k);
}

/// Returns the Split that reads `top`. The loss weight, if any, moves to its first output.
LayerParameter make_split(LayerParameter& producer, int top, int copies) {
  LayerParameter split;
  split.set_name(split_name(producer, top));
  split.set_type("Split");
  split.set_phase(producer.phase());
  split.add_bottom(producer.top(top));
  for (int k = 0; k < copies; ++k) split.add_top(split_top_name(producer, top, k));
  if (const float weight = loss_weight(producer, top); weight != 0) {
    for (int k = 0; k < copies; ++k) split.add_loss_weight(k == 0 ? weight : 0);
    if (producer.loss_weight_size() == 0)
      for (int t = 0; t < producer.top_size(); ++t) producer.add_loss_weight(0);
    producer.set_loss_weight(top, 0);
  }
  return split;
}

}  // namespace

SourcedNet insert_splits(SourcedNet source) {
  const Consumers consumers(source.net);
  const NetParameter original = source.net;
  std::map<Producer, int> next_copy;
  SourcedNet out = source.without_layers();
  for (int i = 0; i < original.layer_size(); ++i) {
    LayerParameter& layer = *source.net.mutable_layer(i);
    for (int b = 0; b < layer.bottom_size(); ++b) {
      const auto producer = consumers.of_bottom.find({i, b});
      if (producer == consumers.of_bottom.end() || consumers.count.at(producer->second) < 2)
        continue;
      const auto [p, t] = producer->second;
      layer.set_bottom(b, split_top_name(original.layer(p), t, next_copy[producer->second]++));
    }
    std::vector<LayerParameter> splits;
    for (int t = 0; t < layer.top_size(); ++t) {
      const auto count = consumers.count.find({i, t});
      if (count == consumers.count.end() || count->second < 2) continue;
      if (loss_weight(layer, t) != 0) next_copy[{i, t}] = 1;  // copy 0 carries the loss
      splits.push_back(make_split(layer, t, count->second));
    }
    out.add(std::move(layer), source, i);
    for (LayerParameter& split : splits) out.add(std::move(split), source, i);
  }
  return out;
}

}  // namespace doppio
