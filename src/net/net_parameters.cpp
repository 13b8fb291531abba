// Set-up of a net's parameters: parts, sharing, learning rates and required gradients.
#include <algorithm>
#include <set>

#include "core/printable.hpp"
#include "doppio/net.hpp"
#include "net/format/layer_context.hpp"
#include "net/passes/passes.hpp"
#include "net/weights/weights_io.hpp"

namespace doppio {

namespace {

/// Returns the `param` message of parameter `j` of a layer, or its default.
ParamSpec spec_of(const LayerParameter& param, const LayerTraits& traits, std::size_t j) {
  ParamSpec spec;
  if (static_cast<int>(j) < param.param_size()) spec = param.param(static_cast<int>(j));
  if (!traits.params_learn) {
    require_field(!spec.has_lr_mult() || spec.lr_mult() == 0, str("param[", j, "].lr_mult"),
                  "its params are statistics and do not learn; lr_mult must be 0 or left out");
    spec.set_lr_mult(0);  // decay_mult stays: it only affects the history, as in Caffe
  }
  return spec;
}

/// Lets a later layer that shares the parameter set a multiplier that the owner left out. Throws:
/// Error if both set it to different values.
void agree(const std::string& place, const char* field, const std::string& name, bool given,
           float value, bool& owner_given, float& owner_value) {
  if (!given) return;
  require_field(!owner_given || owner_value == value, str(place, ".", field), "shared parameter '",
                printable(name), "' has ", field, " ", value, " here and ", owner_value,
                " where it was first named; they must agree");
  owner_given = true;
  owner_value = value;
}

/// Determines which gradients the layers' backward passes compute.
void set_up_gradients(const SourcedNet& source, const Graph& graph, std::vector<NetLayer>& layers) {
  const bool force = source.net.force_backward();
  std::vector<bool> layer_learns;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const LayerParameter& param = source.net.layer(static_cast<int>(i));
    std::vector<Blob>& blobs = layers[i].layer->params;
    bool any = false;
    for (std::size_t j = 0; j < blobs.size(); ++j) {
      // Each layer that shares a parameter decides by its own rate, not by the owner's.
      const bool learns = spec_of(param, layers[i].traits, j).lr_mult() != 0;
      blobs[j].needs_grad = force || learns;
      any = any || learns;
    }
    layer_learns.push_back(any);
  }
  const GradientNeeds needs = gradient_needs(source, graph, layer_learns);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    layers[i].needs_backward = needs.layers[i];
    layers[i].wanted = std::make_unique<bool[]>(layers[i].bottoms.size());
    std::copy(needs.bottoms[i].begin(), needs.bottoms[i].end(), layers[i].wanted.get());
  }
}

}  // namespace

/// Returns the part of its channels that layer `i` holds.
ChannelPart Net::part_of(std::size_t i) const {
  const ModelPart& part = source_->net.layer(static_cast<int>(i)).model_part();
  return {static_cast<int>(part.index()), static_cast<int>(part.count())};
}

/// Makes shared parameters views of the first one with the same name. Lists every parameter once.
void Net::set_up_parameters(const Graph& graph) {
  struct Owner {
    std::size_t parameter;
    bool lr_given, decay_given;
  };
  std::map<std::string, Owner> owners;
  std::set<std::string> with_parameters;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    NetLayer& l = layers_[i];
    const LayerParameter& param = source_->net.layer(static_cast<int>(i));
    with_context(layer_context(*source_, static_cast<int>(i), l.bottoms), [&] {
      require_field(param.param_size() <= static_cast<int>(l.layer->params.size()), "param", "has ",
                    l.layer->params.size(), " parameters, but `param` is given ",
                    param.param_size(), " times");
      const bool nameable = !l.name.empty() && !l.layer->params.empty();
      require_field(!nameable || with_parameters.insert(l.name).second, "name",
                    "an earlier layer of this phase has the same name and parameters too, which a ",
                    "weight file could not tell apart; rename one of them");
      for (std::size_t j = 0; j < l.layer->params.size(); ++j) {
        Blob& blob = l.layer->params[j];
        const ParamSpec spec = spec_of(param, l.traits, j);
        const auto known = owners.find(spec.name());
        if (spec.name().empty() || known == owners.end()) {
          if (!spec.name().empty())
            owners[spec.name()] = {parameters_.size(), spec.has_lr_mult(), spec.has_decay_mult()};
          parameters_.push_back({l.name, static_cast<Index>(j), &blob, spec.lr_mult(),
                                 spec.decay_mult(), part_of(i).count});
          continue;
        }
        Owner& owner = known->second;
        Parameter& p = parameters_[owner.parameter];
        const bool same = spec.share_mode() == ParamSpec::PERMISSIVE
                              ? blob.count() == p.blob->count()
                              : blob.shape() == p.blob->shape();
        require_field(same, str("param[", j, "].share_mode"), "cannot share parameter '",
                      printable(spec.name()), "': it is ", blob.shape().text(), " here and ",
                      p.blob->shape().text(), " in layer '", printable(p.layer), "'");
        const std::string place = str("param[", j, "]");
        agree(place, "lr_mult", spec.name(), spec.has_lr_mult(), spec.lr_mult(), owner.lr_given,
              p.lr_mult);
        agree(place, "decay_mult", spec.name(), spec.has_decay_mult(), spec.decay_mult(),
              owner.decay_given, p.decay_mult);
        blob.share(*p.blob);
      }
      if (param.blobs_size() > 0) load_blobs(param, *l.layer, source_->file);
    });
  }
  set_up_gradients(*source_, graph, layers_);
}

}  // namespace doppio
