#include "solver/whole_net.hpp"

#include <utility>

namespace doppio {

namespace {

/// Sets a context up for a net that is not run.
Context& not_to_run(Context& ctx) {
  ctx.dry_run = true;
  return ctx;
}

}  // namespace

WholeNet::WholeNet(SolverNet source, int history_count)
    : net(not_to_run(ctx_), std::move(source.source), source.state) {
  for (int set = 0; set < history_count; ++set)
    for (const Parameter& p : net.parameters()) history.emplace_back().reshape(p.blob->shape());
}

Tensors tensors_of(Net& net, std::vector<Tensor>& history, bool with_grads) {
  Tensors all;
  for (const Parameter& p : net.parameters()) all.push_back(&p.blob->data);
  for (Tensor& h : history) all.push_back(&h);
  if (with_grads)
    for (const Parameter& p : net.parameters()) all.push_back(&p.blob->grad);
  return all;
}

}  // namespace doppio
