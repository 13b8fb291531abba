#include "net/gradient_groups.hpp"

#include <numeric>
#include <utility>

namespace doppio {

namespace {

/// Returns for each layer the parameters whose gradients its backward pass completes. A shared
/// parameter belongs to the first layer that uses it.
std::vector<std::vector<std::size_t>> completed_gradients(
    const std::vector<NetLayer>& layers, const std::vector<Parameter>& parameters,
    const std::vector<std::vector<std::size_t>>& fusion_groups) {
  std::vector<std::size_t> runner(layers.size());  // the layer that runs each layer's backward pass
  std::iota(runner.begin(), runner.end(), std::size_t{0});
  for (std::size_t i = layers.size(); i-- > 0;)
    for (const std::size_t follower : fusion_groups[i]) runner[follower] = i;
  std::vector<std::vector<std::size_t>> completed(layers.size());
  std::size_t p = 0;
  for (std::size_t i = 0; i < layers.size(); ++i)
    for (const Blob& blob : layers[i].layer->params)
      if (p < parameters.size() && parameters[p].blob == &blob) completed[runner[i]].push_back(p++);
  ensure(p == parameters.size(), "a parameter belongs to no layer");
  return completed;
}

}  // namespace

GradientGroups find_gradient_groups(const std::vector<NetLayer>& layers,
                                    const std::vector<Parameter>& parameters,
                                    const std::vector<std::vector<std::size_t>>& fusion_groups) {
  constexpr Index kMinGroupValues = Index{1} << 18;
  const std::vector<std::vector<std::size_t>> completed =
      completed_gradients(layers, parameters, fusion_groups);
  GradientGroups found;
  found.completed_by.resize(layers.size());
  std::vector<std::size_t> group;
  Index values = 0;
  for (std::size_t i = layers.size(); i-- > 0;) {
    for (const std::size_t p : completed[i]) values += parameters[p].blob->count();
    group.insert(group.end(), completed[i].begin(), completed[i].end());
    if (group.empty() || (values < kMinGroupValues && i > 0)) continue;
    found.completed_by[i] = found.groups.size();
    found.groups.push_back(std::exchange(group, {}));
    values = 0;
  }
  return found;
}

}  // namespace doppio
