#include <glog/logging.h>

#include <algorithm>
#include <map>
#include <set>

#include "net/passes.hpp"

namespace doppio {

namespace {

std::string amount(const Arity& arity, const char* what) {
  const std::string plural = std::string(" ") + what + "s";
  if (arity.min == arity.max)
    return str("exactly ", arity.min, arity.min == 1 ? " " + std::string(what) : plural);
  if (arity.max >= kUnlimited)
    return str("at least ", arity.min, arity.min == 1 ? " " + std::string(what) : plural);
  return str(arity.min, " to ", arity.max, plural);
}

/// Resolves the names of one net and gathers what is wrong with it.
class Builder {
 public:
  Builder(const SourcedNet& source, Device device) : source_(source), device_(device) {}

  Graph build() {
    for (int i = 0; i < source_.net.layer_size(); ++i) add_layer(i);
    problems_.throw_if_any();
    for (const auto& [name, index] : available_)
      if (!hidden_.contains(index)) graph_.outputs.push_back(index);
    return std::move(graph_);
  }

 private:
  template <class... Parts>
  void problem(int i, const std::string& field, const Parts&... parts) {
    const LayerParameter& layer = source_.net.layer(i);
    problems_.add(Error(str("layer '", layer.name(), "' (", layer.type(), "): ", parts...),
                        source_.where(i, field), field));
  }

  void add_layer(int i) {
    const LayerParameter& layer = source_.net.layer(i);
    GraphLayer node;
    try {
      node.traits = LayerRegistry::instance().find(layer.type(), device_).traits;
    } catch (const Error& e) {
      problem(i, "type", e.message());
      node.traits = {.bottoms = {0, kUnlimited}, .tops = {0, kUnlimited}, .in_place = true};
    }
    if (!names_.insert(layer.name()).second && !layer.name().empty())
      LOG(WARNING) << source_.where(i, "name").text() << ": an earlier layer of this phase is "
                   << "called '" << layer.name() << "' as well; both draw the same random numbers";
    check_counts(i, node.traits);
    for (int b = 0; b < layer.bottom_size(); ++b) node.bottoms.push_back(consume(i, b));
    for (int t = 0; t < layer.top_size(); ++t) node.tops.push_back(produce(i, t, node));
    if (node.traits.is_loss && layer.top_size() == 0) {
      node.tops.push_back(new_blob(layer.name() + ":loss"));
      hidden_.insert(node.tops.back());
    }
    set_loss_weights(i, node);
    if (layer.type() == "Input")
      graph_.inputs.insert(graph_.inputs.end(), node.tops.begin(), node.tops.end());
    graph_.layers.push_back(std::move(node));
  }

  void check_counts(int i, const LayerTraits& traits) {
    const LayerParameter& layer = source_.net.layer(i);
    const int bottoms = layer.bottom_size();
    const int tops = std::max(layer.top_size(), traits.is_loss ? 1 : 0);
    if (bottoms < traits.bottoms.min || bottoms > traits.bottoms.max)
      problem(i, "bottom", "takes ", amount(traits.bottoms, "bottom"), ", has ", bottoms);
    if (tops < traits.tops.min || tops > traits.tops.max)
      problem(i, "top", "makes ", amount(traits.tops, "top"), ", has ", tops);
    if (traits.one_top_per_bottom && bottoms != tops)
      problem(i, "top", "makes one top per bottom, has ", bottoms, " bottoms and ", tops, " tops");
    if (layer.propagate_down_size() > 0 && layer.propagate_down_size() != bottoms)
      problem(i, "propagate_down", "propagate_down must be given once per bottom (", bottoms,
              ") or not at all, it is given ", layer.propagate_down_size(), " times");
  }

  int consume(int i, int b) {
    const std::string& name = source_.net.layer(i).bottom(b);
    if (const auto it = available_.find(name); it != available_.end()) {
      const int index = it->second;
      available_.erase(it);
      return index;
    }
    std::vector<std::string> known;
    for (const auto& [blob, index] : index_) known.push_back(blob);
    std::string hint = did_you_mean(name, known);
    if (hint.empty()) hint = "; a blob must be the top of an earlier layer of the same phase";
    unknown_bottom_in_ = i;
    problem(i, str("bottom[", b, "]"), "unknown bottom '", name, "'", hint);
    return new_blob(name);
  }

  int produce(int i, int t, const GraphLayer& node) {
    const LayerParameter& layer = source_.net.layer(i);
    const std::string& name = layer.top(t);
    const auto known = index_.find(name);
    if (known == index_.end()) return available_[name] = new_blob(name);
    const bool same_index = t < layer.bottom_size() && layer.bottom(t) == name;
    if (same_index && node.traits.in_place) return available_[name] = known->second;
    if (same_index)
      problem(i, str("top[", t, "]"), "cannot work in place; give the top another name than '",
              name, "'");
    else if (!node.traits.in_place || unknown_bottom_in_ != i)  // else bottom and top were one
      problem(i, str("top[", t, "]"), "an earlier layer already makes a blob '", name,
              "'; give this top another name");
    return known->second;
  }

  int new_blob(const std::string& name) {
    const int index = static_cast<int>(graph_.blobs.size());
    graph_.blobs.push_back(name);
    index_.emplace(name, index);
    return index;
  }

  void set_loss_weights(int i, GraphLayer& node) {
    const LayerParameter& layer = source_.net.layer(i);
    node.loss_weights.assign(node.tops.size(), 0.0f);
    if (layer.loss_weight_size() == 0) {
      if (node.traits.is_loss && !node.tops.empty()) node.loss_weights[0] = 1;
    } else if (layer.loss_weight_size() != static_cast<int>(node.tops.size())) {
      problem(i, "loss_weight", "loss_weight must be given once per top (", node.tops.size(),
              ") or not at all, it is given ", layer.loss_weight_size(), " times");
    } else {
      node.loss_weights.assign(layer.loss_weight().begin(), layer.loss_weight().end());
    }
  }

  const SourcedNet& source_;
  Device device_;
  Graph graph_;
  Problems problems_;
  std::map<std::string, int> index_;      // every blob ever made
  std::map<std::string, int> available_;  // made and not yet consumed
  int unknown_bottom_in_ = -1;            // the last layer that has one
  std::set<int> hidden_;                  // tops that the user did not name
  std::set<std::string> names_;
};

}  // namespace

Graph build_graph(const SourcedNet& source, Device device) {
  return Builder(source, device).build();
}

}  // namespace doppio
