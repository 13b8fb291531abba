#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "core/printable.hpp"
#include "doppio/extend/registry.hpp"
#include "net/passes/passes.hpp"

namespace doppio {

namespace {

namespace pb = google::protobuf;

/// What becomes of a layer.
enum class Role { source, loss, metric, other };

Role role_of(const LayerParameter& layer) {
  for (const char* type : {"Accuracy", "DetectionEvaluate", "HDF5Output", "Silence"})
    if (layer.type() == type) return Role::metric;
  if (layer.type() == "DummyData" || layer.type() == "Input") return Role::other;
  const auto* entry = LayerRegistry::instance().find_or_null(layer.type(), Device::cpu);
  if (entry && entry->traits.is_source && layer.bottom_size() == 0) return Role::source;
  return entry && entry->traits.is_loss ? Role::loss : Role::other;
}

float loss_weight(const LayerParameter& loss) {
  return loss.loss_weight_size() > 0 ? loss.loss_weight(0) : 1;
}

/// Returns the type of the layer whose outputs `loss` compares with labels, or "" if it compares
/// its first bottom itself.
std::string activation_of(const LayerParameter& loss) {
  if (loss.type() == "SoftmaxWithLoss" || loss.type() == "InfogainLoss") return "Softmax";
  return loss.type() == "SigmoidCrossEntropyLoss" ? "Sigmoid" : "";
}

/// Clears what only matters for training.
void clear_training_fields(LayerParameter& layer, bool net_has_compute_type) {
  layer.clear_phase();
  layer.clear_include();
  layer.clear_exclude();
  layer.clear_loss_weight();
  layer.clear_propagate_down();
  if (net_has_compute_type) layer.clear_compute_type();  // filter() copied it from the net
  const bool shares = std::any_of(layer.param().begin(), layer.param().end(),
                                  [](const ParamSpec& param) { return param.has_name(); });
  for (ParamSpec& param : *layer.mutable_param()) {
    param.clear_lr_mult();
    param.clear_decay_mult();
  }
  if (!shares) layer.clear_param();
  if (layer.type() == "DummyData") return;  // its fillers make its tops
  const pb::Reflection& fields = *layer.GetReflection();
  std::vector<const pb::FieldDescriptor*> set;
  fields.ListFields(layer, &set);
  for (const pb::FieldDescriptor* field : set) {
    if (field->is_repeated() || field->message_type() == nullptr) continue;
    pb::Message& param = *fields.MutableMessage(&layer, field);
    for (int i = 0; i < param.GetDescriptor()->field_count(); ++i) {
      const pb::FieldDescriptor* filler = param.GetDescriptor()->field(i);
      if (filler->message_type() == FillerParameter::descriptor())
        param.GetReflection()->ClearField(&param, filler);
    }
  }
}

/// Turns one net into its deploy net.
class Deployment {
 public:
  Deployment(const SourcedNet& net, const Shape& input) : net_(net), input_(input) {
    for (const LayerParameter& layer : net.net.layer()) {
      roles_.push_back(role_of(layer));
      read_.insert(layer.bottom().begin(), layer.bottom().end());
      if (roles_.back() != Role::loss) continue;
      ++losses_;
      largest_weight_ = std::max(largest_weight_, loss_weight(layer));
    }
  }

  SourcedNet run() {
    std::vector<LayerParameter> kept;  // in reverse order
    std::vector<int> origins;
    for (int i = net_.net.layer_size() - 1; i >= 0; --i) {
      std::optional<LayerParameter> layer = keep(i);
      if (!layer) continue;
      needed_.insert(layer->bottom().begin(), layer->bottom().end());
      clear_training_fields(*layer, net_.net.has_compute_type());
      kept.push_back(std::move(*layer));
      origins.push_back(i);
    }
    SourcedNet out = net_.without_layers();
    out.net.clear_model_parallel();
    for (std::size_t i = kept.size(); i-- > 0;) out.add(std::move(kept[i]), net_, origins[i]);
    return out;
  }

 private:
  bool makes_needed(const LayerParameter& layer) const {
    return std::any_of(layer.top().begin(), layer.top().end(),
                       [&](const std::string& top) { return needed_.contains(top); });
  }

  /// Returns the deploy net's form of layer `i`, if it stays. All later layers are decided.
  std::optional<LayerParameter> keep(int i) {
    const LayerParameter& layer = net_.net.layer(i);
    switch (roles_[static_cast<std::size_t>(i)]) {
      case Role::source:
        return makes_needed(layer) ? std::optional(input(i)) : std::nullopt;
      case Role::loss:
        return head(layer);
      case Role::metric:
        if (losses_ == 0 && layer.bottom_size() > 0) needed_.insert(layer.bottom(0));
        return std::nullopt;
      case Role::other:
        break;
    }
    const bool output = std::none_of(layer.top().begin(), layer.top().end(),
                                     [&](const std::string& top) { return read_.contains(top); });
    return output || makes_needed(layer) ? std::optional(layer) : std::nullopt;
  }

  LayerParameter input(int i) {
    const LayerParameter& data = net_.net.layer(i);
    Problems problems;
    for (int t = 1; t < data.top_size(); ++t)
      if (needed_.contains(data.top(t)))
        problems.add(Error(str("a layer that stays in the deploy net reads '", data.top(t),
                               "', which only records with labels provide; give that layer "
                               "include { phase: TRAIN }, or a stage of its own"),
                           net_.where(i)));
    if (has_input_)
      problems.add(
          Error("a second data layer stays in the deploy net, which has one input; give "
                "the layers that read it include { phase: TRAIN }",
                net_.where(i)));
    has_input_ = true;
    problems.throw_if_any();
    LayerParameter layer;
    layer.set_name(data.name());
    layer.set_type("Input");
    layer.add_top(data.top(0));
    BlobShape& shape = *layer.mutable_input_param()->add_shape();
    for (const Index d : input_.dims()) shape.add_dim(d);
    const TransformationParameter& from = data.transform_param();
    TransformationParameter to;
    if (from.has_scale()) to.set_scale(from.scale());
    if (from.has_crop_size()) to.set_crop_size(from.crop_size());
    if (from.has_crop_h()) to.set_crop_h(from.crop_h());
    if (from.has_crop_w()) to.set_crop_w(from.crop_w());
    if (from.has_mean_file()) to.set_mean_file(from.mean_file());
    *to.mutable_mean_value() = from.mean_value();
    *layer.mutable_transform_param() = std::move(to);
    return layer;
  }

  /// Returns the layer that takes the place of `loss`. An auxiliary loss leaves nothing.
  std::optional<LayerParameter> head(const LayerParameter& loss) {
    if (loss.bottom_size() == 0 || loss_weight(loss) < largest_weight_) return std::nullopt;
    const std::string& scores = loss.bottom(0);
    const std::string type = activation_of(loss);
    needed_.insert(scores);
    if (type.empty()) return std::nullopt;
    for (const LayerParameter& layer : net_.net.layer())
      if (layer.type() == type && layer.bottom_size() > 0 && layer.bottom(0) == scores)
        return std::nullopt;  // there is one already
    LayerParameter layer;
    const std::string name = has_prob_ || taken("prob") ? "prob_" + scores : "prob";
    has_prob_ = true;
    layer.set_name(name);
    layer.set_type(type);
    layer.add_bottom(scores);
    layer.add_top(loss.top_size() > 1 ? loss.top(1) : name);
    if (loss.has_softmax_param()) *layer.mutable_softmax_param() = loss.softmax_param();
    return layer;
  }

  bool taken(const std::string& name) const {
    for (const LayerParameter& layer : net_.net.layer()) {
      if (layer.name() == name) return true;
      if (std::find(layer.top().begin(), layer.top().end(), name) != layer.top().end()) return true;
    }
    return false;
  }

  const SourcedNet& net_;
  Shape input_;
  std::vector<Role> roles_;
  int losses_ = 0;
  float largest_weight_ = 0;
  std::set<std::string> read_;    // blobs that a layer of the whole net reads
  std::set<std::string> needed_;  // blobs that a later layer of the deploy net reads
  bool has_prob_ = false, has_input_ = false;
};

}  // namespace

SourcedNet deploy(const SourcedNet& source, const Shape& input) {
  return Deployment(source, input).run();
}

}  // namespace doppio
