#include <glog/logging.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/printable.hpp"
#include "net/format/layer_context.hpp"
#include "net/format/layer_types.hpp"
#include "net/passes/passes.hpp"

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

bool has(const google::protobuf::RepeatedPtrField<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// Resolves the names of one net and collects all problems.
class Builder {
 public:
  Builder(const SourcedNet& source, Device device) : source_(source), device_(device) {}

  Graph build() {
    for (int i = 0; i < source_.net.layer_size(); ++i) add_layer(i);
    try {
      problems_.throw_if_any();
    } catch (const Error& e) {
      if (lacks_left_out_) throw PhaseError(e.message(), e.where(), e.field());
      throw;
    }
    for (const auto& [name, index] : available_)
      if (!hidden_.contains(index)) graph_.outputs.push_back(index);
    return std::move(graph_);
  }

 private:
  template <class... Parts>
  void problem(int i, const std::string& field, const Parts&... parts) {
    const LayerParameter& layer = source_.net.layer(i);
    problems_.add(Error(str(titled(layer), parts...), source_.where(i, field), field));
  }

  void add_layer(int i) {
    const LayerParameter& layer = source_.net.layer(i);
    GraphLayer node;
    if (const auto* entry = LayerRegistry::instance().find_or_null(layer.type(), device_)) {
      node.traits = entry->traits;
    } else {
      problem(i, "type", unknown_type(layer));
      node.traits = {.bottoms = {0, kUnlimited}, .tops = {0, kUnlimited}, .in_place = true};
    }
    const auto [namesake, is_new] = names_.emplace(layer.name(), i);
    if (!is_new && !layer.name().empty())
      LOG(WARNING) << source_.where(i, "name").text() << ": the layer at "
                   << source_.where(namesake->second, "name").text() << " is called '"
                   << printable(layer.name()) << "', too; both draw the same random numbers";
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
    lacks_bottom_ = i;
    if (reported_.insert(name).second)
      problem(i, str("bottom[", b, "]"), "unknown bottom '", printable(name), "'",
              why_unknown(name));
    const auto known = index_.find(name);
    return known == index_.end() ? new_blob(name) : known->second;
  }

  std::string why_unknown(const std::string& name) {
    if (const auto out = source_.left_out.find(name); out != source_.left_out.end()) {
      lacks_left_out_ = true;
      return str("; layer '", printable(out->second.layer), "' (", out->second.where.text(),
                 "), which makes it, is not in the net for phase ",
                 Phase_Name(source_.net.state().phase()));
    }
    for (int k = 0; k < source_.net.layer_size(); ++k) {
      const LayerParameter& layer = source_.net.layer(k);
      if (has(layer.top(), name))
        return str("; layer '", printable(layer.name()), "' (", source_.where(k).text(),
                   "), which makes it, must come before the layers that read it");
    }
    std::vector<std::string> known;
    for (const auto& [blob, index] : index_) known.push_back(blob);
    const std::string hint = did_you_mean(name, known);
    return hint.empty() ? "; a blob must be the top of an earlier layer of the same phase" : hint;
  }

  int produce(int i, int t, const GraphLayer& node) {
    const LayerParameter& layer = source_.net.layer(i);
    const std::string& name = layer.top(t);
    const auto known = index_.find(name);
    if (known == index_.end()) return available_[name] = new_blob(name);
    const bool in_place = t < layer.bottom_size() && layer.bottom(t) == name;
    // If a bottom of the layer is unknown, the top may be meant to be in place.
    if (!(in_place && node.traits.in_place) && lacks_bottom_ != i && reported_.insert(name).second)
      problem(i, str("top[", t, "]"), why_not_made(i, t, node.traits.in_place));
    return available_[name] = known->second;
  }

  /// Explains why layer `i` cannot make its top `t`, a blob that already exists.
  std::string why_not_made(int i, int t, bool in_place) {
    const LayerParameter& layer = source_.net.layer(i);
    const std::string& name = layer.top(t);
    const std::string rename = str("; give the top another name than '", printable(name), "'");
    for (int b = 0; b < layer.bottom_size(); ++b) {
      if (written_bottom(source_, i, b) != name) continue;
      if (!in_place) return "cannot work in place" + rename;
      if (b != t)
        return str("works in place on bottoms in the order of the tops; '", printable(name),
                   "' is bottom ", b, " and top ", t);
      return str("cannot work in place, since ", other_reader(i, b), " too", rename);
    }
    for (int k = 0; k < i; ++k)
      if (has(source_.net.layer(k).top(), name))
        return str("layer '", printable(source_.net.layer(k).name()), "' (",
                   source_.where(k).text(), ") already makes a blob '", printable(name),
                   "'; give this top another name");
    return str("a bottom and a top are both called '", printable(name), "'", rename);
  }

  /// Describes another reader of the blob that layer `i` reads as bottom `b` through an inserted
  /// Split.
  std::string other_reader(int i, int b) const {
    const NetParameter& net = source_.net;
    const std::string& name = net.layer(i).bottom(b);
    int split = i - 1;
    while (split > 0 && !has(net.layer(split).top(), name)) --split;
    const auto& copies = net.layer(split).top();
    for (int k = split + 1; k < net.layer_size(); ++k)
      for (const std::string& bottom : net.layer(k).bottom())
        if (k != i && has(copies, bottom))
          return str("layer '", printable(net.layer(k).name()), "' (", source_.where(k).text(),
                     ") reads it");
    return "the loss reads it";
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
  std::map<std::string, int> index_;      // all blobs
  std::map<std::string, int> available_;  // blobs that are not yet consumed
  std::set<std::string> reported_;        // blobs with reported problems
  bool lacks_left_out_ = false;
  int lacks_bottom_ = -1;             // the last layer with an unknown bottom
  std::set<int> hidden_;              // tops that the user did not name
  std::map<std::string, int> names_;  // the first layer of each name
};

}  // namespace

Graph build_graph(const SourcedNet& source, Device device) {
  return Builder(source, device).build();
}

}  // namespace doppio
