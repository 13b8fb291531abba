// What a solver does together with those of other processes.
#include <algorithm>

#include "core/accelerator.hpp"
#include "distributed/process_group.hpp"
#include "doppio.pb.h"
#include "doppio/solver.hpp"
#include "solver/grid.hpp"
#include "solver/replica.hpp"
#include "solver/rules/lr_policy.hpp"
#include "solver/sharded_update.hpp"
#include "solver/snapshot.hpp"
#include "solver/whole_net.hpp"

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
  const std::vector<float> rates = clip_and_scale(step, sharded_->squared_norms());
  sharded_->update(step, rates);
  sharded_->finish();
  replicas_.front()->update_without_gradients(step, rates);
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
  const auto parts = static_cast<std::size_t>(grid_->local_parts());  // with the same outputs
  const std::size_t copies = replicas_.size() / parts;
  const auto ranks = static_cast<std::size_t>(group_ ? group_->size() : 1);
  for (const std::string& name : net().outputs()) {
    std::vector<double> sums(static_cast<std::size_t>(net().blob(name).count()));
    for (std::size_t r = 0; r < replicas_.size(); r += parts) {
      const float* values = replicas_[r]->net.blob(name).data.read_host();
      for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += static_cast<double>(values[i]);
    }
    if (group_) sums = group_->sum(sums);
    const auto summed = static_cast<double>(ranks * copies);
    std::vector<float>& means = train_outputs_.emplace_back();
    for (const double sum : sums) means.push_back(static_cast<float>(sum / summed));
  }
}

/// Runs `action` on rank 0 only. Throws: its Error, on all ranks.
void Solver::on_first_rank(const std::function<void()>& action) {
  if (!group_) return action();
  std::string problem;
  if (group_->rank() == 0) try {
      action();
    } catch (const Error& e) {
      problem = e.what();
    }
  problem = group_->broadcast(problem);
  require(problem.empty(), problem);
}

/// Replaces a tensor by that of the first copy's rank with the same part.
void Solver::broadcast_from_first_copy(Tensor& tensor) {
  group_->broadcast({tensor.update_host(), static_cast<std::size_t>(tensor.count())},
                    grid_->ranks_per_copy());
}

/// Makes all ranks continue from the weights and the history of the first copy and all else from
/// rank 0, if the state of any rank has changed since the last step(). Returns whether it has.
bool Solver::synchronize_ranks() {
  const std::vector<char> changed =
      group_->all_gather_value(static_cast<char>(versions() != versions_));
  if (std::find(changed.begin(), changed.end(), 1) == changed.end()) return false;
  for (int p = 0; p < grid_->local_parts(); ++p) {
    Replica& replica = *replicas_[static_cast<std::size_t>(p)];
    for (Tensor* tensor : tensors_of(replica.net, replica.history, false))
      broadcast_from_first_copy(*tensor);
  }
  std::string state;
  if (group_->rank() == 0) state = SnapshotAccess::capture(*this, {}, {}).SerializeAsString();
  SolverState first;
  ensure(first.ParseFromString(group_->broadcast(state)), "rank 0's state cannot be parsed");
  if (group_->rank() != 0) {
    policy_->restore(first);
    SnapshotAccess::apply_progress(*this, first);
    resumed_ = false;
  }
  versions_ = versions();
  return true;
}

/// Gives all ranks the first copy's parameters that are not learned, such as the statistics of
/// BatchNorm: those that a snapshot would have.
void Solver::share_statistics() {
  for (int part = 0; part < grid_->local_parts(); ++part)
    for (const Parameter& p : net(part).parameters())
      if (!p.blob->needs_grad) broadcast_from_first_copy(p.blob->data);
}

}  // namespace doppio
