// The nets of a solver: one for each device, or a part of one if it is split.
#include <mutex>

#include "distributed/process_group.hpp"
#include "doppio.pb.h"
#include "doppio/solver.hpp"
#include "math/tensor_part.hpp"
#include "solver/grid.hpp"
#include "solver/read_solver.hpp"
#include "solver/replica.hpp"
#include "solver/rules/lars.hpp"
#include "solver/sharded_update.hpp"
#include "solver/whole_net.hpp"
#include "solver/worker_pool.hpp"

namespace doppio {

namespace {

/// Splits a test net as the train net, whose weights it shares, unless it says how itself.
void split_alike(const SourcedNet& train, SourcedNet& test) {
  if (!test.net.has_model_parallel() && train.net.has_model_parallel())
    *test.net.mutable_model_parallel() = train.net.model_parallel();
}

}  // namespace

/// Builds the nets of each device on the thread that will run them, because oneDNN keeps the
/// scratch memory of a primitive for the thread that made it.
void Solver::build_nets(std::span<Context* const> contexts) {
  const SolverNet train = train_net(*source_);
  std::vector<SolverNet> tests = doppio::test_nets(*source_);
  for (SolverNet& test : tests) split_alike(train.source, test.source);
  grid_ = std::make_unique<Grid>(contexts, train.source, group_.get());
  workers_ = std::make_unique<WorkerPool>(grid_->devices());
  replicas_.resize(grid_->devices());
  test_nets_.resize(tests.size());
  test_parts_.resize(tests.size());
  for (auto& parts : test_parts_) parts.resize(static_cast<std::size_t>(grid_->local_parts()) - 1);
  for (std::size_t d = 0; d < grid_->devices(); ++d) grid_->context(d).seed = ctx_.seed;
  std::mutex one_at_a_time;
  run_passes(grid_->devices(), [&](std::size_t d) {
    const std::lock_guard lock(one_at_a_time);
    replicas_[d] =
        std::make_unique<Replica>(grid_->context(d), train, source_->param, grid_->shard(d));
    if (d >= static_cast<std::size_t>(grid_->local_parts())) return;
    for (std::size_t i = 0; i < tests.size(); ++i) {
      std::unique_ptr<Net>& net = d == 0 ? test_nets_[i] : test_parts_[i][d - 1];
      net = std::make_unique<Net>(grid_->context(d), tests[i].source, tests[i].state);
      net->share_weights(replicas_[d]->net);
    }
  });
  if (grid_->parts() > 1) {
    split_nets_ = {train};
    split_nets_.insert(split_nets_.end(), tests.begin(), tests.end());
  }
  if (grid_->process_shard().count > 1 && !grid_->communicator())
    sharded_ = std::make_unique<ShardedUpdate>(*group_, *replicas_.front(), source_->param,
                                               grid_->ranks_per_copy());
}

/// Runs pass(r) concurrently for the first `replicas` replicas.
void Solver::run_passes(std::size_t replicas, const std::function<void(std::size_t)>& pass) {
  const auto work = [&](std::size_t r) {
    const ThreadLimit limit(grid_->threads());
    if (r < replicas) pass(r);
  };
  workers_->run(work, [&] { grid_->abort_exchanges(); });
}

/// Destroys the nets of each device on its thread, see build_nets().
void Solver::destroy_nets() {
  if (!workers_) return;
  workers_->run([&](std::size_t r) {
    if (r == 0) test_nets_.clear();
    for (auto& parts : test_parts_)
      if (r > 0 && r <= parts.size()) parts[r - 1] = nullptr;
    if (r < replicas_.size()) replicas_[r] = nullptr;
  });
}

/// Returns the versions of the weights and history of this process's first copy.
std::vector<std::uint64_t> Solver::versions() const {
  std::vector<std::uint64_t> all;
  for (int p = 0; p < grid_->local_parts(); ++p)
    for (const std::uint64_t v : replicas_[static_cast<std::size_t>(p)]->versions())
      all.push_back(v);
  return all;
}

/// Returns the norms of all parameters, with the gradients as they are.
std::vector<SquaredNorms> Solver::norms_of_parts() {
  std::vector<SquaredNorms> norms(net().parameters().size());
  if (grid_->process_shard().index == 0 || grid_->ranks_per_copy() == 1)
    for (int p = 0; p < grid_->local_parts(); ++p) {
      Replica& replica = *replicas_[static_cast<std::size_t>(p)];
      const std::vector<Parameter>& parameters = replica.net.parameters();
      const std::vector<SquaredNorms> own =
          squared_norms(replica.ctx, *replica.rule, parameters, replica.lars.has_value());
      for (std::size_t i = 0; i < norms.size(); ++i) {
        if (parameters[i].parts == 1 && grid_->part(p).index > 0) continue;  // another part's, too
        norms[i].weights += own[i].weights;
        norms[i].gradient += own[i].gradient;
      }
    }
  return grid_->ranks_per_copy() == 1 ? norms : sum_over_ranks(*group_, norms);
}

namespace {

/// Returns the tensors of each of the parts.
std::vector<Tensors> tensors_of(std::span<const std::unique_ptr<Replica>> parts, bool with_grads) {
  std::vector<Tensors> all;
  for (const auto& part : parts) all.push_back(tensors_of(part->net, part->history, with_grads));
  return all;
}

}  // namespace

/// Returns the parts of the first copy that are in this process.
std::span<const std::unique_ptr<Replica>> Solver::first_copy() const {
  return std::span(replicas_).first(static_cast<std::size_t>(grid_->local_parts()));
}

/// Collective: returns the train net on rank 0 if it is split, else null.
std::unique_ptr<WholeNet> Solver::gather_parts(bool with_grads) {
  if (grid_->parts() == 1) return nullptr;
  std::unique_ptr<WholeNet> whole;
  on_first_rank([&] {
    whole = std::make_unique<WholeNet>(split_nets_[0], replicas_[0]->rule->history_count());
  });
  grid_->gather(tensors_of(first_copy(), with_grads),
                whole ? tensors_of(whole->net, whole->history, with_grads) : Tensors());
  return whole;
}

/// Collective: copies weights and history from `whole` on rank 0 to the parts of the first copy.
void Solver::scatter_parts(WholeNet* whole) {
  if (grid_->parts() == 1) return;
  grid_->scatter(whole ? tensors_of(whole->net, whole->history, false) : Tensors(),
                 tensors_of(first_copy(), false));
}

namespace {

/// Loads the weights of a file into the parts of a net.
std::vector<CopiedLayer> load_into_parts(const SolverNet& source, const std::string& file,
                                         const Grid& grid, const std::vector<Net*>& parts) {
  WholeNet whole(source);
  std::vector<std::uint64_t> before;
  for (const Parameter& p : whole.net.parameters()) before.push_back(p.blob->data.version());
  std::vector<CopiedLayer> copied = whole.net.copy_weights(file);
  require_no_mismatch(copied, file);
  for (std::size_t d = 0; d < parts.size(); ++d)
    for (std::size_t p = 0; p < before.size(); ++p)
      if (const Tensor& loaded = whole.net.parameters()[p].blob->data;
          loaded.version() != before[p])
        copy_part(loaded, grid.part(d), parts[d]->parameters()[p].blob->data);
  return copied;
}

}  // namespace

/// load_weights() for a net that is split.
std::vector<CopiedLayer> Solver::load_split_weights(const std::string& file) {
  std::vector<Net*> parts;
  for (const auto& part : first_copy()) parts.push_back(&part->net);
  std::vector<CopiedLayer> copied = load_into_parts(split_nets_[0], file, *grid_, parts);
  for (std::size_t i = 0; i < test_nets_.size(); ++i)
    load_into_parts(split_nets_[1 + i], file, *grid_, test_parts(i));
  return copied;
}

}  // namespace doppio
