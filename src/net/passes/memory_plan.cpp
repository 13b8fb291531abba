#include "net/passes/memory_plan.hpp"

#include <algorithm>
#include <set>

#include "net/passes/liveness.hpp"

namespace doppio {

namespace {

bool is_view_of_bottom(const Blob& top, const NetLayer& layer) {
  return std::any_of(layer.bottoms.begin(), layer.bottoms.end(),
                     [&](const Blob* bottom) { return top.data.shares_memory_with(bottom->data); });
}

}  // namespace

MemoryPlan plan_memory(const Net& net, Passes passes) {
  MemoryPlan plan;
  std::set<std::uint64_t> parameters_seen;  // by version(), which views share
  for (const NetLayer& l : net.layers()) {
    LayerMemory m;
    m.name = l.name;
    m.type = l.type;
    if (!l.tops.empty()) m.shape = l.tops[0]->shape().text();
    for (const Blob* top : l.tops)
      if (!is_view_of_bottom(*top, l)) m.activations += top->data.bytes();
    for (std::size_t b = 0; b < l.bottoms.size(); ++b) {
      const bool in_place = std::find(l.tops.begin(), l.tops.end(), l.bottoms[b]) != l.tops.end();
      if (l.needs_backward && l.wanted[b] && !in_place) m.gradients += l.bottoms[b]->grad.bytes();
    }
    for (const Blob& p : l.layer->params) {
      if (!parameters_seen.insert(p.data.version()).second) continue;  // shared
      m.parameters += p.data.bytes();
      if (p.needs_grad && l.needs_backward) m.parameter_gradients += p.grad.bytes();
    }
    plan.total.activations += m.activations;
    plan.total.gradients += m.gradients;
    plan.total.parameters += m.parameters;
    plan.total.parameter_gradients += m.parameter_gradients;
    plan.layers.push_back(std::move(m));
    const Scratch scratch = l.layer->scratch();
    plan.held += scratch.held;
    plan.workspace = std::max(plan.workspace, scratch.workspace);
  }
  const Liveness live = find_lifetimes(net, passes, {});
  plan.shared = arena_bytes(net, live);
  for (const SharedTensor& t : live.lasting) plan.lasting += t.tensor->bytes();
  return plan;
}

}  // namespace doppio
