#include "solver/replica.hpp"

#include <algorithm>
#include <utility>

#include "core/accelerator.hpp"
#include "core/communicator.hpp"
#include "core/peers.hpp"
#include "doppio.pb.h"
#include "solver/read_solver.hpp"

namespace doppio {

namespace {

void copy(const Tensor& from, Tensor& to) {
  if (from.count() > 0) std::copy_n(from.read_host(), from.count(), to.write_host());
}

}  // namespace

Replica::Replica(Context& context, SolverNet train, const SolverParameter& param,
                 const Shard& shard)
    : ctx(context),
      net(ctx, std::move(train.source), train.state, shard),
      rule(make_update_rule(param, ctx.device())),
      lars(lars_of(param)) {
  for (int set = 0; set < rule->history_count(); ++set)
    for (const Parameter& parameter : net.parameters())
      history.emplace_back().reshape(parameter.blob->shape());
  const bool first = shard.index == 0 && (!ctx.peers || ctx.peers->part() == 0);
  if (!first) net.set_debug_info(false);  // one replica's log is enough
}

void Replica::follow(Replica& first, bool weights) {
  const bool reseeded = std::exchange(ctx.seed, first.ctx.seed) != first.ctx.seed;
  if (weights) {
    for (std::size_t h = 0; h < history.size(); ++h) copy(first.history[h], history[h]);
    for (std::size_t p = 0; p < net.parameters().size(); ++p)
      copy(first.net.parameters()[p].blob->data, net.parameters()[p].blob->data);
  }
  net.set_passes(first.net.passes());
  for (std::size_t i = 0; i < net.layers().size(); ++i) {
    const Cursor cursor = first.net.layers()[i].layer->cursor();
    Layer& layer = *net.layers()[i].layer;
    if (reseeded || layer.cursor() != cursor) layer.seek(cursor);
  }
}

void Replica::prepare() {
  for (Tensor& h : history) h.update(ctx);
  for (const Parameter& p : net.parameters()) {
    p.blob->data.read(ctx);
    p.blob->grad.update(ctx);
  }
}

std::vector<std::uint64_t> Replica::versions() const {
  std::vector<std::uint64_t> all;
  for (const Tensor& h : history) all.push_back(h.version());
  for (const NetLayer& l : net.layers())
    for (const Blob& blob : l.layer->params) all.push_back(blob.data.version());
  return all;
}

/// Calls `work` for each group of gradients. Accelerators run it once the group is complete.
template <class Work>
void Replica::for_each_group(Work work) {
  Accelerator* const device = ctx.accelerator().get();
  try {
    for (std::size_t g = 0; g < net.gradient_groups().size(); ++g) {
      if (device) device->begin_side_stream(g);
      work(net.gradient_groups()[g]);
    }
  } catch (...) {
    if (device) device->end_side_stream();
    throw;
  }
  if (device) device->end_side_stream();
}

void Replica::all_reduce_mean(const std::vector<std::size_t>& group, Communicator& communicator) {
  std::vector<DeviceFloats> gradients;
  for (const std::size_t p : group)
    if (Blob& blob = *net.parameters()[p].blob; blob.needs_grad)
      gradients.push_back({blob.grad.update(ctx), blob.count()});
  const int copy = net.shard().index;
  const int device = ctx.peers ? copy * ctx.peers->parts() + ctx.peers->part() : copy;
  if (!gradients.empty()) communicator.all_reduce_mean(static_cast<std::size_t>(device), gradients);
}

void Replica::average_gradients(Communicator& communicator) {
  for_each_group(
      [&](const std::vector<std::size_t>& group) { all_reduce_mean(group, communicator); });
}

std::vector<float> Replica::learning_rates(const UpdateStep& step,
                                           std::span<const SquaredNorms> norms) {
  if (lars) return lars->rates(step, net.parameters(), norms);
  std::vector<float> rates;
  for (const Parameter& p : net.parameters()) rates.push_back(step.rate * p.lr_mult);
  return rates;
}

void Replica::update(const UpdateStep& step, std::span<const float> rates,
                     Communicator* communicator) {
  for_each_group([&](const std::vector<std::size_t>& group) {
    if (communicator) all_reduce_mean(group, *communicator);
    for (const std::size_t p : group) rule->update(ctx, step_of(step, p, rates), memory(p, ctx));
  });
}

void Replica::update_without_gradients(const UpdateStep& step, std::span<const float> rates) {
  for (std::size_t p = 0; p < net.parameters().size(); ++p)
    if (!net.parameters()[p].blob->needs_grad)
      rule->update(ctx, step_of(step, p, rates), memory(p, ctx));
}

ParameterMemory Replica::memory(std::size_t p, Context& where) {
  Blob& blob = *net.parameters()[p].blob;
  const std::size_t last_set = history.size() - net.parameters().size();
  return {blob.count(), blob.grad.read(where), blob.data.update(where), history[p].update(where),
          history[last_set + p].update(where)};
}

UpdateStep Replica::step_of(const UpdateStep& step, std::size_t p, std::span<const float> rates) {
  UpdateStep own = step;
  own.rate = rates[p];
  own.l1 *= net.parameters()[p].decay_mult;
  own.l2 *= net.parameters()[p].decay_mult;
  return own;
}

}  // namespace doppio
