#include <set>

#include "core/at.hpp"
#include "net/passes/passes.hpp"

namespace doppio {

namespace {

bool accepts_gradient(const LayerTraits& traits, std::size_t bottom) {
  return bottom >= 32 || (traits.no_grad_bottoms >> bottom & 1) == 0;
}

/// Forward sweep: a layer needs backward if it or a layer before it learns.
void mark_what_learns(const SourcedNet& source, const Graph& graph, const std::vector<bool>& learns,
                      GradientNeeds& needs) {
  std::vector<bool> blob_needs(graph.blobs.size(), false);
  for (std::size_t i = 0; i < graph.layers.size(); ++i) {
    const GraphLayer& node = graph.layers[i];
    const LayerParameter& layer = source.net.layer(static_cast<int>(i));
    bool needed = learns[i];
    for (std::size_t b = 0; b < node.bottoms.size(); ++b) {
      const bool from_before = at(blob_needs, node.bottoms[b]);
      needed = needed || from_before;
      const bool wanted =
          layer.propagate_down_size() > 0 ? layer.propagate_down(static_cast<int>(b)) : from_before;
      needs.bottoms[i].push_back(wanted && accepts_gradient(node.traits, b));
    }
    needs.layers[i] = needed;
    for (const int t : node.tops) at(blob_needs, t) = needed;
  }
}

/// Reverse sweep: drops layers that lead to no loss, or only through layers that propagate no
/// gradient.
void drop_what_no_loss_needs(const Graph& graph, GradientNeeds& needs) {
  std::set<int> under_loss, blocked;
  for (std::size_t i = graph.layers.size(); i-- > 0;) {
    const GraphLayer& node = graph.layers[i];
    bool contributes = false, all_blocked = true;
    for (std::size_t t = 0; t < node.tops.size(); ++t) {
      contributes = contributes || node.loss_weights[t] != 0 || under_loss.contains(node.tops[t]);
      all_blocked = all_blocked && blocked.contains(node.tops[t]);
    }
    if (all_blocked || !contributes) needs.layers[i] = false;
    for (std::size_t b = 0; b < node.bottoms.size(); ++b) {
      if (contributes) under_loss.insert(node.bottoms[b]);
      if (!needs.layers[i]) needs.bottoms[i][b] = false;
      if (needs.bottoms[i][b])
        blocked.erase(node.bottoms[b]);
      else
        blocked.insert(node.bottoms[b]);
    }
  }
}

}  // namespace

GradientNeeds gradient_needs(const SourcedNet& source, const Graph& graph,
                             const std::vector<bool>& learns) {
  GradientNeeds needs;
  needs.bottoms.resize(graph.layers.size());
  needs.layers.resize(graph.layers.size());
  mark_what_learns(source, graph, learns, needs);
  drop_what_no_loss_needs(graph, needs);
  if (!source.net.force_backward()) return needs;
  for (std::size_t i = 0; i < graph.layers.size(); ++i) {
    needs.layers[i] = true;
    for (std::size_t b = 0; b < needs.bottoms[i].size(); ++b)
      if (accepts_gradient(graph.layers[i].traits, b)) needs.bottoms[i][b] = true;
  }
  return needs;
}

}  // namespace doppio
