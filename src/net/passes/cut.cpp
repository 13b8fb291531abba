// Splits a range of a net's layers along their channels (model parallelism).
#include <algorithm>
#include <map>
#include <utility>

#include "net/format/layer_context.hpp"
#include "net/passes/passes.hpp"

namespace doppio {

namespace {

/// A version of a blob: an in-place layer makes a new one of the same name.
struct Version {
  std::string name;  ///< in the cut net
  bool sliced = false;
  bool has_gradient = true;
  bool read = false;
  int maker = 0;                              ///< its layer in the uncut net
  std::map<std::string, std::string> made{};  ///< what inserted layers made of it, by their type
};

bool is_product(const LayerParameter& layer) {
  if (layer.type() == "InnerProduct") return layer.inner_product_param().axis() == 1;
  return layer.type() == "Convolution" && layer.convolution_param().axis() == 1;
}

bool is_depthwise(const LayerParameter& layer) {
  const bool by_type =
      layer.type() == "DepthwiseConvolution" || layer.type() == "ConvolutionDepthwise";
  return by_type && layer.convolution_param().axis() == 1;
}

LayerTraits traits_of(const LayerParameter& layer) {
  const auto* entry = LayerRegistry::instance().find_or_null(layer.type(), Device::cpu);
  return entry ? entry->traits : LayerTraits{};
}

/// Returns whether the parameters of a layer with the trait splits_channels keep the channels
/// apart.
bool keeps_channels_apart(const LayerParameter& layer) {
  if (layer.type() == "PReLU") return !layer.prelu_param().channel_shared();
  const auto per_channel = [&](const auto& p) {
    return layer.bottom_size() == 1 && p.axis() == 1 && p.num_axes() == 1;
  };
  if (layer.type() == "Scale") return per_channel(layer.scale_param());
  if (layer.type() == "Bias") return per_channel(layer.bias_param());
  return true;
}

class Cutter {
 public:
  Cutter(const SourcedNet& source, const ChannelPart& part)
      : in_(source),
        out_(source.without_layers()),
        part_(part),
        parts_(static_cast<std::uint32_t>(part.count)) {}

  SourcedNet cut() {
    const int first = find("layer_from", in_.net.model_parallel().layer_from());
    const int last = find("layer_to", in_.net.model_parallel().layer_to());
    problems_.throw_if_any();
    if (first > last)
      throw range_error("layer_to", str("layer_to '", in_.net.model_parallel().layer_to(),
                                        "' comes before layer_from '",
                                        in_.net.model_parallel().layer_from(), "'"));
    for (int i = 0; i < in_.net.layer_size(); ++i) try {
        with_context(layer_context(in_, i, {}), [&] { add(i, first <= i && i <= last); });
      } catch (const Error& e) {
        problems_.add(e);
      }
    problems_.throw_if_any();
    gather_outputs();
    return std::move(out_);
  }

 private:
  Error range_error(const std::string& field, const std::string& message) const {
    const Location where = in_.fields.find("model_parallel." + field);
    return Error("model_parallel: " + message,
                 where.file.empty() ? Location{in_.file, 0, 0} : where, "model_parallel." + field);
  }

  /// Returns the layer of that name. Adds a problem if there is none.
  int find(const char* field, const std::string& name) {
    std::vector<std::string> names;
    for (int i = 0; i < in_.net.layer_size(); ++i) {
      if (in_.net.layer(i).name() == name) return i;
      names.push_back(in_.net.layer(i).name());
    }
    problems_.add(range_error(field, name.empty()
                                         ? str(field, " is missing; name a layer")
                                         : str(field, ": this phase of the net has no layer '",
                                               printable(name), "'", did_you_mean(name, names))));
    return 0;
  }

  void add(int i, bool inside) {
    LayerParameter layer = in_.net.layer(i);
    std::vector<Version*> bottoms;
    for (const std::string& name : layer.bottom()) {
      Version& version = blobs_.try_emplace(name, Version{name}).first->second;
      version.read = true;
      bottoms.push_back(&version);
    }
    const auto is_sliced = [](const Version* v) { return v->sliced; };
    const bool some = std::any_of(bottoms.begin(), bottoms.end(), is_sliced);
    const bool all = some && std::all_of(bottoms.begin(), bottoms.end(), is_sliced);
    bool sliced = false;
    if (inside && is_product(layer)) {
      split_outputs(layer, bottoms, all);
      sliced = true;
    } else if (inside && all && is_depthwise(layer)) {
      split_count(*layer.mutable_convolution_param(), "convolution_param.num_output");
      sliced = true;
    } else if (inside && all && traits_of(layer).splits_channels && keeps_channels_apart(layer)) {
      if (layer.type() == "LRN") split_groups(*layer.mutable_lrn_param());
      sliced = true;
    }
    for (int b = 0; b < layer.bottom_size(); ++b) {
      Version& version = *bottoms[static_cast<std::size_t>(b)];
      // split_outputs() has set the bottoms of the layers that it splits.
      if (!inside || !is_product(layer))
        layer.set_bottom(b,
                         version.sliced && !sliced ? made_of(version, "PartGather") : version.name);
    }
    if (sliced) {
      for (int t = 0; t < layer.loss_weight_size(); ++t)
        require_field(layer.loss_weight(t) == 0, str("loss_weight[", t, "]"),
                      "a top that is split over several devices cannot be a loss; end the range ",
                      "(model_parallel.layer_to) before this layer");
      layer.mutable_model_part()->set_index(static_cast<std::uint32_t>(part_.index));
      layer.mutable_model_part()->set_count(parts_);
    }
    name_tops(i, layer, sliced);
    out_.add(std::move(layer), in_, i);
  }

  /// Records the tops, which in-place layers call as their bottoms are called now.
  void name_tops(int i, LayerParameter& layer, bool sliced) {
    const LayerParameter& original = in_.net.layer(i);
    const bool is_source = traits_of(layer).is_source || layer.bottom_size() == 0;
    for (int t = 0; t < layer.top_size(); ++t) {
      for (int b = 0; b < original.bottom_size(); ++b)
        if (original.bottom(b) == original.top(t)) layer.set_top(t, layer.bottom(b));
      blobs_[original.top(t)] = {layer.top(t), sliced, !is_source || in_.net.force_backward(),
                                 false, i};
    }
  }

  /// Lets the layer compute this part of its outputs.
  void split_outputs(LayerParameter& layer, const std::vector<Version*>& bottoms, bool all_sliced) {
    const bool is_convolution = layer.type() == "Convolution";
    const bool grouped = is_convolution && layer.convolution_param().group() > 1;
    if (grouped) {
      require_field(all_sliced, "convolution_param.group",
                    "its groups cannot be divided among several devices, because each of them ",
                    "holds all of the bottom's channels; begin the range ",
                    "(model_parallel.layer_from) at an earlier layer without groups");
      split_groups(*layer.mutable_convolution_param());
    }
    for (int b = 0; b < layer.bottom_size(); ++b) {
      Version& version = *bottoms[static_cast<std::size_t>(b)];
      if (grouped)
        layer.set_bottom(b, version.name);
      else if (version.sliced)
        layer.set_bottom(b, made_of(version, "PartGatherCopies"));
      else
        layer.set_bottom(b, version.has_gradient ? made_of(version, "PartCopies") : version.name);
    }
    if (is_convolution)
      split_count(*layer.mutable_convolution_param(), "convolution_param.num_output");
    else
      split_count(*layer.mutable_inner_product_param(), "inner_product_param.num_output");
  }

  template <class Parameter>
  void split_count(Parameter& p, const char* field) const {
    if (!p.has_num_output()) return;  // the layer reports it
    require_field(p.num_output() % parts_ == 0, field, "num_output ", p.num_output(),
                  " cannot be divided among ", parts_, " devices (model_parallel)");
    p.set_num_output(p.num_output() / parts_);
  }

  void split_groups(ConvolutionParameter& p) const {
    require_field(p.group() % parts_ == 0, "convolution_param.group", "group ", p.group(),
                  " cannot be divided among ", parts_, " devices (model_parallel)");
    p.set_group(p.group() / parts_);
  }

  void split_groups(LRNParameter& p) const {
    if (p.norm_region() != LRNParameter::ACROSS_CHANNELS) return;
    require_field(p.group() % parts_ == 0, "lrn_param.group",
                  "normalizes across channels of which ", "each of ", parts_,
                  " devices holds a part (model_parallel); lrn_param { group: ", parts_,
                  " } normalizes each part apart");
    p.set_group(p.group() / parts_);
  }

  /// Returns the name of what a layer of type `type` makes of the blob. Inserts it on first use.
  std::string made_of(Version& version, const std::string& type) {
    const auto known = version.made.find(type);
    if (known != version.made.end()) return known->second;
    const std::string& maker = in_.net.layer(version.maker).name();
    const std::string suffix = type == "PartGather"         ? "_gather"
                               : type == "PartGatherCopies" ? "_gather_copies"
                                                            : "_copies";
    LayerParameter layer;
    layer.set_name(version.name + "_" + maker + suffix);
    layer.set_type(type);
    layer.set_phase(in_.net.layer(version.maker).phase());
    layer.add_bottom(version.name);
    layer.add_top(layer.name());
    out_.add(layer, in_, version.maker);
    version.made[type] = layer.top(0);
    return layer.top(0);
  }

  /// Makes every output whole, under its own name.
  void gather_outputs() {
    for (auto& [name, version] : blobs_) {
      if (version.read) continue;
      if (version.sliced) made_of(version, "PartGather");
      const std::string whole = version.sliced ? version.made["PartGather"] : version.name;
      if (whole == name) continue;
      rename(name, name + "_part");
      rename(whole, name);
    }
  }

  void rename(const std::string& from, const std::string& to) {
    for (LayerParameter& layer : *out_.net.mutable_layer())
      for (auto* names : {layer.mutable_bottom(), layer.mutable_top()})
        std::replace(names->begin(), names->end(), from, to);
  }

  const SourcedNet& in_;
  SourcedNet out_;
  const ChannelPart part_;
  const std::uint32_t parts_;
  Problems problems_;
  std::map<std::string, Version> blobs_;  // the latest version, by the name in the uncut net
};

}  // namespace

SourcedNet cut(SourcedNet source, const ChannelPart& part) {
  if (part.count > 1 && source.net.has_model_parallel()) source = Cutter(source, part).cut();
  source.net.clear_model_parallel();  // done, and no field for snapshots
  return source;
}

}  // namespace doppio
