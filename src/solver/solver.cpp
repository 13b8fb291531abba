#include "doppio/solver.hpp"

#include <glog/logging.h>

#include <array>
#include <cmath>
#include <numeric>
#include <random>

#include "core/accelerator.hpp"
#include "core/arena.hpp"
#include "core/communicator.hpp"
#include "distributed/process_group.hpp"
#include "doppio.pb.h"
#include "io/comma_list.hpp"
#include "solver/divergence.hpp"
#include "solver/grid.hpp"
#include "solver/read_solver.hpp"
#include "solver/replica.hpp"
#include "solver/rules/lars.hpp"
#include "solver/rules/lr_policy.hpp"
#include "solver/rules/regularizer.hpp"
#include "solver/rules/update_rule.hpp"
#include "solver/sharded_update.hpp"
#include "solver/snapshot.hpp"
#include "solver/whole_net.hpp"
#include "solver/worker_pool.hpp"

namespace doppio {

namespace {

/// Returns true if `interval` is set and divides `n`.
bool due(int n, int interval) { return interval > 0 && n % interval == 0; }

std::uint64_t choose_seed(const SolverParameter& p) {
  if (p.random_seed() >= 0) return static_cast<std::uint64_t>(p.random_seed());
  std::random_device device;
  const std::uint64_t seed = std::uint64_t{device() & 0x7fffffffu} << 32 | device();
  LOG(INFO) << "Random seed: " << seed << " (random_seed: " << seed << " repeats this run)";
  return seed;
}

SourcedSolver in_memory(const SolverParameter& param, const std::string& file) {
  SourcedSolver source;
  source.param = param;
  source.file = file;
  return source;
}

}  // namespace

Solver::Solver(Context& ctx, const std::string& solver_file)
    : Solver(ctx, read_solver(solver_file)) {}
Solver::Solver(Context& ctx, const SolverParameter& param, const std::string& file)
    : Solver(ctx, in_memory(param, file)) {}

Solver::Solver(Context& ctx, SourcedSolver source)
    : Solver(std::span<Context* const>(std::array{&ctx}), std::move(source)) {}

Solver::Solver(std::span<Context* const> contexts, SourcedSolver source,
               std::shared_ptr<ProcessGroup> group)
    : ctx_(*contexts.front()),
      source_(std::make_unique<SourcedSolver>(std::move(source))),
      group_(group && group->size() > 1 ? std::move(group) : nullptr) {
  const SolverParameter& p = source_->param;
  Problems problems;
  const auto check = [&](auto action) {
    try {
      with_context(solver_context(*source_), action);
    } catch (const Error& e) {
      problems.add(e);
    }
  };
  check([&] { check_ranges(p); });
  check([&] { policy_ = std::make_unique<LearningRatePolicy>(p); });
  check([&] { make_update_rule(p, ctx_.device()); });
  check([&] { regularizer_of(p); });
  check([&] { lars_of(p); });
  problems.throw_if_any();
  if (!p.has_base_lr()) LOG(WARNING) << "base_lr is not set: the weights will not change";

  ctx_.seed = choose_seed(p);
  if (group_) ctx_.seed = group_->all_gather_value(ctx_.seed)[0];
  try {
    with_context(solver_context(*source_), [&] {
      build_nets(contexts);
      if (policy_->plateau()) policy_->plateau()->watch(test_nets_);
      for (const std::string& list : p.weights())
        for (const std::string& file : comma_list(list))
          for (const CopiedLayer& layer : load_weights(file))
            LOG_IF(INFO, layer.outcome == CopiedLayer::Outcome::fresh)
                << "Layer " << layer.name << " is not in the file and starts from its fillers";
    });
  } catch (...) {
    destroy_nets();
    throw;
  }
}

Solver::~Solver() { destroy_nets(); }

void Solver::save_memory() {
  run_passes(replicas_.size(), [&](std::size_t r) {
    const auto arena = std::make_shared<Arena>();  // not shared by nets that run concurrently
    replicas_[r]->net.save_memory(Passes::forward_and_backward, {}, arena);
    for (std::size_t i = 0; i < test_nets_.size(); ++i)
      if (const std::vector<Net*> parts = test_parts(i); r < parts.size())
        parts[r]->save_memory(Passes::forward, {}, arena);
  });
}

std::vector<CopiedLayer> Solver::load_weights(const std::string& file) {
  LOG(INFO) << "Finetuning from " << file;
  if (grid_->parts() > 1) return load_split_weights(file);
  std::vector<CopiedLayer> copied = net().copy_weights(file);
  require_no_mismatch(copied, file);
  // Layers shared with the train net are already loaded. This loads those that only test nets have.
  for (const auto& test : test_nets_) require_no_mismatch(test->copy_weights(file), file);
  return copied;
}

Net& Solver::net(int rank) { return replicas_.at(static_cast<std::size_t>(rank))->net; }
std::vector<Tensor>& Solver::history() { return replicas_.front()->history; }
const SolverParameter& Solver::param() const { return source_->param; }
float Solver::learning_rate() const { return policy_->rate(iteration_); }

void Solver::solve() {
  const SolverParameter& p = param();
  if (p.snapshot_after_train()) require_snapshots_writable();
  for (const auto& o : observers_) o->on_start(*this);
  step(std::max(0, p.max_iter() - iteration_));

  if (p.snapshot_after_train() && last_snapshot_ != iteration_) snapshot();
  if (!stopped_ && due(iteration_, p.display())) {
    const float loss = smoothed(over_all_ranks(mean_loss(&Net::forward)));
    for (const auto& o : observers_) o->on_final_loss(*this, loss);
  }
  if (!stopped_ && !policy_->finished() && due(iteration_, p.test_interval())) test_all();
  if (snapshot_wanted_) snapshot_or_log();
  for (const auto& o : observers_) o->on_stop(*this, stopped_);
}

void Solver::step(int iterations) {
  const SolverParameter& p = param();
  if (p.snapshot() > 0) require_snapshots_writable();
  if (!resumed_) recent_losses_.clear();
  resumed_ = stopped_ = snapshot_wanted_ = false;
  synchronize();

  for (const int end = iteration_ + iterations; iteration_ < end && !done();) {
    for (const auto& replica : replicas_) replica->net.clear_grads();
    if (due(iteration_, p.test_interval()) && (iteration_ > 0 || p.test_initialization()))
      for (const TestResult& result : test_all())
        if (policy_->plateau()) policy_->plateau()->observe(result);
    if (!done()) {
      if (p.debug_info()) net().set_debug_info(due(iteration_, p.display()));
      const float rate = policy_->advance(iteration_);
      const UpdateStep update = make_step(rate);
      const float loss = smoothed(forward_backward(update));
      if (due(iteration_, p.display())) average_train_outputs();
      for (const auto& o : observers_) o->on_iteration(*this, iteration_, loss, rate);
      apply_update(update);
      ++iteration_;
      poll_action();
      snapshot_wanted_ = snapshot_wanted_ || due(iteration_, p.snapshot());
    }
    if (snapshot_wanted_) snapshot_or_log();
  }
  if (sharded_) sharded_->gather_history();
  if (replicas_.size() > 1 || group_) versions_ = versions();
}

/// Makes all replicas of all ranks continue from the state of the first copy, which may have
/// changed since the last step().
void Solver::synchronize() {
  if (!group_ && replicas_.size() == 1) return;
  const bool changed = group_ ? synchronize_ranks() : versions() != versions_;
  const auto parts = static_cast<std::size_t>(grid_->local_parts());
  for (std::size_t r = 1; r < replicas_.size(); ++r) {
    const bool in_first_copy = r < parts;
    replicas_[r]->follow(*replicas_[in_first_copy ? 0 : r % parts], changed && !in_first_copy);
  }
  if (replicas_.size() > 1 || grid_->communicator())
    workers_->run([&](std::size_t r) { replicas_[r]->prepare(); });
}

/// Runs one pass of all replicas. Returns the mean of the copies' losses, which all parts of a copy
/// compute.
float Solver::mean_loss(float (Net::*pass)()) {
  std::vector<float> losses(replicas_.size());
  run_passes(replicas_.size(), [&](std::size_t r) { losses[r] = (replicas_[r]->net.*pass)(); });
  float sum = 0;
  const auto parts = static_cast<std::size_t>(grid_->local_parts());
  const std::size_t copies = losses.size() / parts;
  for (std::size_t copy = 0; copy < copies; ++copy) sum += losses[copy * parts];
  return sum / static_cast<float>(copies);
}

/// Runs iter_size passes, which accumulate gradients. Returns their mean loss. The last pass starts
/// to exchange gradients with other processes, and `step` to update the weights with them.
float Solver::forward_backward(const UpdateStep& step) {
  float loss = 0;
  for (int i = 0; i < param().iter_size(); ++i) {
    if (sharded_) exchange_in_pass(i + 1 == param().iter_size() ? &step : nullptr);
    const float pass = mean_loss(&Net::forward_backward);
    if (!std::isfinite(pass))
      throw_diverged(str("the loss is ", std::isnan(pass) ? "nan" : "infinite"));
    loss += pass;
  }
  if (sharded_) finish_exchange(step);
  return over_all_ranks(loss / static_cast<float>(param().iter_size()));
}

/// Adds a loss to the average_loss window and returns the window's mean.
float Solver::smoothed(float loss) {
  recent_losses_.push_back(loss);
  if (static_cast<int>(recent_losses_.size()) > param().average_loss())
    recent_losses_.erase(recent_losses_.begin());
  return static_cast<float>(std::accumulate(recent_losses_.begin(), recent_losses_.end(), 0.0) /
                            static_cast<double>(recent_losses_.size()));
}

UpdateStep Solver::make_step(float learning_rate) const {
  const SolverParameter& p = param();
  UpdateStep step;
  step.iteration = iteration_;
  step.rate = learning_rate;
  step.normalise = 1.0f / static_cast<float>(p.iter_size());
  (regularizer_of(p) == Regularizer::l1 ? step.l1 : step.l2) = p.weight_decay();
  return step;
}

void Solver::apply_update(UpdateStep step) {
  if (sharded_) return apply_sharded_update(step);
  const bool needs_norms = !updates_early();
  Communicator* const communicator = grid_->communicator();
  const auto failed = [&] {  // wakes replicas that wait for the failed one
    if (communicator) communicator->abort();
  };
  if (needs_norms && communicator)
    workers_->run([&](std::size_t r) { replicas_[r]->average_gradients(*communicator); }, failed);
  const std::vector<float> rates = needs_norms ? clip_and_scale(step, norms_of_parts())
                                               : replicas_.front()->learning_rates(step);
  const auto update = [&](std::size_t r) {
    const ThreadLimit limit(grid_->threads());
    replicas_[r]->update(step, rates, needs_norms ? nullptr : communicator);
  };
  workers_->run(update, failed);
}

/// Sets step.clip. Returns the learning rates of all parameters, which have the norms `norms`.
std::vector<float> Solver::clip_and_scale(UpdateStep& step, std::span<const SquaredNorms> norms) {
  double squares = 0;
  for (const SquaredNorms& n : norms) squares += n.gradient;
  if (clips()) step.clip = clip_factor(squares);
  return replicas_.front()->learning_rates(step, norms);
}

bool Solver::clips() const { return param().clip_gradients() >= 0; }

/// Returns the factor (at most 1) that limits the joint norm of the gradients, whose squares sum to
/// `squares`, to clip_gradients.
float Solver::clip_factor(double squares) {
  const float limit = param().clip_gradients();
  const auto norm = static_cast<float>(std::sqrt(squares));
  if (!std::isfinite(norm))
    throw_diverged(str("the norm of the gradients is ", std::isnan(norm) ? "nan" : "infinite"));
  if (norm <= limit) return 1;
  const float factor = limit / norm;
  for (const auto& o : observers_) o->on_clip(*this, norm, factor);
  return factor;
}

/// Throws: Error for training that has diverged.
void Solver::throw_diverged(const std::string& what) {
  std::string where;
  for (std::size_t r = 0; r < replicas_.size() && where.empty(); ++r)
    where = first_non_finite(replicas_[r]->net);
  if (where.empty()) where = "all blobs and parameters are finite";
  const std::string last = last_state_.empty() ? "none was written" : "'" + last_state_ + "'";
  throw Error(str("training diverged at iteration ", iteration_, " (learning rate ",
                  learning_rate(), "): ", what, "; ", where,
                  ". Lower base_lr, scale the input, or set clip_gradients. Last snapshot: ", last),
              {source_->file, 0, 0});
}

bool Solver::done() const { return stopped_ || policy_->finished(); }

void Solver::poll_action() {
  SolverAction action = poll_ ? poll_() : SolverAction::none;
  if (group_) action = any_action(action);
  const bool both = action == SolverAction::snapshot_and_stop;
  stopped_ = stopped_ || both || action == SolverAction::stop;
  snapshot_wanted_ = snapshot_wanted_ || both || action == SolverAction::snapshot;
}

}  // namespace doppio
