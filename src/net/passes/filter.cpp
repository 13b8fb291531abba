#include <algorithm>

#include "core/printable.hpp"
#include "net/passes/passes.hpp"

namespace doppio {

namespace {

bool has_stage(const NetState& state, const std::string& stage) {
  return std::find(state.stage().begin(), state.stage().end(), stage) != state.stage().end();
}

/// Returns whether `state` meets every condition of the rule.
bool meets(const NetState& state, const NetStateRule& rule) {
  if (rule.has_phase() && rule.phase() != state.phase()) return false;
  if (rule.has_min_level() && state.level() < rule.min_level()) return false;
  if (rule.has_max_level() && state.level() > rule.max_level()) return false;
  for (const std::string& stage : rule.stage())
    if (!has_stage(state, stage)) return false;
  for (const std::string& stage : rule.not_stage())
    if (has_stage(state, stage)) return false;
  return true;
}

bool kept(const NetState& state, const LayerParameter& layer) {
  for (const NetStateRule& rule : layer.include())
    if (meets(state, rule)) return true;
  if (layer.include_size() > 0) return false;
  for (const NetStateRule& rule : layer.exclude())
    if (meets(state, rule)) return false;
  return true;
}

}  // namespace

SourcedNet filter(SourcedNet source, const NetState& state) {
  SourcedNet out = source.without_layers();
  Problems problems;
  for (int i = 0; i < source.net.layer_size(); ++i) {
    LayerParameter& layer = *source.net.mutable_layer(i);
    if (layer.include_size() > 0 && layer.exclude_size() > 0)
      problems.add(
          Error(str("layer '", printable(layer.name()), "' has both include and exclude; use one"),
                source.where(i, "exclude")));
    if (!kept(state, layer)) {
      for (const std::string& top : layer.top())
        out.left_out.emplace(top, LeftOut{layer.name(), source.where(i)});
      continue;
    }
    if (!layer.has_phase()) layer.set_phase(state.phase());
    if (!layer.has_compute_type() && source.net.has_compute_type())
      layer.set_compute_type(source.net.compute_type());
    out.add(std::move(layer), source, i);
  }
  problems.throw_if_any();
  return out;
}

}  // namespace doppio
