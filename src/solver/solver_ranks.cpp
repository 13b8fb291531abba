// What a solver does together with those of other processes.
#include <algorithm>

#include "core/accelerator.hpp"
#include "distributed/process_group.hpp"
#include "doppio.pb.h"
#include "doppio/solver.hpp"
#include "solver/replica.hpp"
#include "solver/rules/lr_policy.hpp"
#include "solver/sharded_update.hpp"
#include "solver/snapshot.hpp"

namespace doppio {

/// Returns whether weights can be updated as soon as their gradients are averaged: whether the
/// update needs no norm of all gradients.
bool Solver::updates_early() const { return !clips() && !replicas_.front()->lars; }

/// Makes the next backward pass exchange its gradients if `step` is not null.
void Solver::exchange_in_pass(const UpdateStep* step) {
  if (!step || !param().layer_wise_reduce()) return net().set_gradient_hook({});
  net().set_gradient_hook(
      [this, step](std::size_t g) { sharded_->begin(g, updates_early() ? step : nullptr); });
}

/// Waits for the updates that started in the backward pass, if they did.
void Solver::finish_exchange(const UpdateStep& step) {
  // An accelerator's gradients are complete only now.
  if (ctx_.accelerator() || !param().layer_wise_reduce())
    for (std::size_t g = 0; g < net().gradient_groups().size(); ++g)
      sharded_->begin(g, updates_early() ? &step : nullptr);
  if (!updates_early()) return;
  sharded_->finish();
  Replica& replica = *replicas_.front();
  replica.update_without_gradients(step, replica.learning_rates(step));
}

void Solver::apply_sharded_update(UpdateStep& step) {
  if (updates_early()) return;  // done in finish_exchange()
  const std::vector<SquaredNorms> norms = sharded_->squared_norms();
  double squares = 0;
  for (const SquaredNorms& n : norms) squares += n.gradient;
  if (clips()) step.clip = clip_factor(squares);
  Replica& replica = *replicas_.front();
  const std::vector<float> rates = replica.lars
                                       ? replica.lars->rates(step, net().parameters(), norms)
                                       : replica.learning_rates(step);
  sharded_->update(step, rates);
  sharded_->finish();
  replica.update_without_gradients(step, rates);
}

std::size_t Solver::bytes_per_iteration() const {
  return sharded_ ? sharded_->bytes_per_iteration() : 0;
}

/// Returns the mean of the ranks' losses.
float Solver::over_all_ranks(float loss) {
  if (!group_) return loss;
  double sum = 0;
  for (const float one : group_->all_gather_value(loss)) sum += static_cast<double>(one);
  return static_cast<float>(sum / group_->size());
}

/// Returns all actions that the ranks request.
SolverAction Solver::any_action(SolverAction own) {
  int all = 0;
  for (const int one : group_->all_gather_value(static_cast<int>(own))) all |= one;
  return static_cast<SolverAction>(all);
}

void Solver::average_train_outputs() {
  train_outputs_.clear();
  for (const std::string& name : net().outputs()) {
    std::vector<double> sums(static_cast<std::size_t>(net().blob(name).count()));
    for (const auto& replica : replicas_) {
      const float* values = replica->net.blob(name).data.read_host();
      for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += static_cast<double>(values[i]);
    }
    if (group_) sums = group_->sum(sums);
    const double devices = net().shard().count;
    std::vector<float>& means = train_outputs_.emplace_back();
    for (const double sum : sums) means.push_back(static_cast<float>(sum / devices));
  }
}

/// Returns the shard of this process's first device.
Shard Solver::join_shards(int devices) {
  for (const int others : group_->all_gather_value(devices))
    require(others == devices, "this rank has ", devices, " GPUs and another has ", others,
            "; all ranks need as many");
  return {group_->rank() * devices, group_->size() * devices};
}

/// Makes all ranks continue from the state of rank 0, if that of any rank has changed since the
/// last step(). Returns whether it has.
bool Solver::synchronize_ranks() {
  Replica& replica = *replicas_.front();
  const std::vector<char> changed =
      group_->all_gather_value(static_cast<char>(replica.versions() != versions_));
  if (std::find(changed.begin(), changed.end(), 1) == changed.end()) return false;
  for (const Parameter& p : net().parameters()) {
    Tensor& weights = p.blob->data;
    group_->broadcast({weights.update_host(), static_cast<std::size_t>(weights.count())});
  }
  for (Tensor& h : history())
    group_->broadcast({h.update_host(), static_cast<std::size_t>(h.count())});
  std::string state;
  if (group_->rank() == 0) state = SnapshotAccess::capture(*this, {}, {}).SerializeAsString();
  SolverState first;
  ensure(first.ParseFromString(group_->broadcast(state)), "rank 0's state cannot be parsed");
  if (group_->rank() != 0) {
    policy_->restore(first);
    SnapshotAccess::apply_progress(*this, first);
    resumed_ = false;
  }
  versions_ = replica.versions();
  return true;
}

/// Gives all ranks rank 0's parameters that are not learned, such as the statistics of BatchNorm:
/// those that a snapshot would have.
void Solver::share_statistics() {
  for (const Parameter& p : net().parameters()) {
    if (p.blob->needs_grad) continue;
    Tensor& values = p.blob->data;
    group_->broadcast({values.update_host(), static_cast<std::size_t>(values.count())});
  }
}

}  // namespace doppio
