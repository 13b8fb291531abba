#include "solver/snapshot.hpp"

#include <glog/logging.h>

#include <algorithm>
#include <map>

#include "distributed/process_group.hpp"
#include "io/atomic_file.hpp"
#include "net/format/blob_io.hpp"
#include "net/weights/checked_file.hpp"
#include "net/weights/weights_io.hpp"
#include "solver/read_solver.hpp"
#include "solver/rules/lr_policy.hpp"
#include "solver/rules/update_rule.hpp"
#include "solver/sharded_update.hpp"
#include "solver/snapshot_files.hpp"
#include "solver/solver_state.hpp"
#include "solver/whole_net.hpp"

namespace doppio {

namespace {

/// Returns how many records all shards together read for each record that `net` reads.
std::uint64_t shards_of(const Net& net) { return static_cast<std::uint64_t>(net.shard().count); }

/// Saves the position of every layer that has one, under `prefix` + its name.
template <class States>
void save_positions(const Net& net, const std::string& prefix, States& states) {
  for (const NetLayer& l : net.layers())
    if (const Cursor cursor = l.layer->cursor(); cursor.records > 0) {
      LayerState& state = *states.Add();
      state.set_layer(prefix + l.name);
      state.set_records(cursor.records * shards_of(net));
    }
}

/// Moves every layer to its saved position, or to the start if it has none.
template <class States>
void restore_positions(Net& net, const std::string& prefix, const States& states) {
  std::map<std::string, std::uint64_t> records;
  for (const LayerState& state : states) records[state.layer()] = state.records();
  for (NetLayer& l : net.layers()) l.layer->seek(Cursor{records[prefix + l.name] / shards_of(net)});
}

std::string test_prefix(std::size_t net) { return std::to_string(net) + "/"; }

}  // namespace

void SnapshotAccess::save_test_positions(Solver& solver, SolverState& state) {
  for (std::size_t i = 0; i < solver.test_nets_.size(); ++i) {
    save_positions(*solver.test_nets_[i], test_prefix(i), *state.mutable_test_layer_state());
    state.add_test_passes(solver.test_nets_[i]->passes());
  }
}

void SnapshotAccess::restore_test_positions(Solver& solver, const SolverState& state) {
  for (std::size_t i = 0; i < solver.test_nets_.size(); ++i) {
    const int index = static_cast<int>(i);
    for (Net* net : solver.test_parts(i)) {
      restore_positions(*net, test_prefix(i), state.test_layer_state());
      net->set_passes(index < state.test_passes_size() ? state.test_passes(index) : 0);
    }
  }
}

SolverState SnapshotAccess::capture(Solver& solver, const std::string& model_file,
                                    const std::string& model_sha256) {
  SolverState state;
  state.set_iter(solver.iteration_);
  state.set_learned_net(model_file);
  state.set_learned_net_sha256(model_sha256);
  solver.policy_->save(state);
  state.set_type(update_rule_type(solver.param()));
  state.set_random_seed(solver.ctx_.seed);
  state.set_train_passes(solver.net().passes());
  for (const float loss : solver.recent_losses_) state.add_recent_loss(loss);
  save_positions(solver.net(), "", *state.mutable_layer_state());
  save_test_positions(solver, state);
  return state;
}

namespace {

void check_history(const SolverState& state, const std::string& type,
                   const std::vector<Tensor>& history, const std::vector<Parameter>& parameters) {
  require(!state.has_type() || state.type() == type, "it was written by solver type ", state.type(),
          ", but this solver has type ", type);
  require(state.history_size() == static_cast<int>(history.size()), "it holds ",
          state.history_size(), " history blobs, but solver type ", type, " needs ", history.size(),
          " for the ", parameters.size(),
          " parameters of this net; was it written by another type or for another net?");
  for (std::size_t i = 0; i < history.size(); ++i) {
    const BlobProto& stored = state.history(static_cast<int>(i));
    const Parameter& p = parameters[i % parameters.size()];
    require(fits(stored, history[i].shape()), "history blob ", i, " is ",
            stored_shape(stored).text(), ", but parameter ", p.index, " of layer '", p.layer,
            "' is ", history[i].shape().text());
  }
}

}  // namespace

void SnapshotAccess::apply(Solver& solver, WholeNet* whole, const SolverState& state,
                           const std::string& state_file, const std::string& weights_file) {
  Net& net = whole ? whole->net : solver.net();
  std::vector<Tensor>& history = whole ? whole->history : solver.history();
  try {
    require(state.iter() >= 0, "its iteration is negative (", state.iter(), ")");
    check_history(state, update_rule_type(solver.param()), history, net.parameters());
    solver.policy_->restore(state);
    if (!weights_file.empty()) {
      require_no_mismatch(net.copy_weights(weights_file), weights_file);
    } else if (state.has_learned_net()) {
      const std::string model = model_of(state, state_file);
      require_no_mismatch(copy_checked_weights(net, model), model);
    }
    for (std::size_t i = 0; i < history.size(); ++i)
      read_blob(state.history(static_cast<int>(i)), history[i]);
  } catch (const Error& e) {
    if (!e.where().file.empty()) throw;
    throw Error(e.message(), {state_file, 0, 0});
  }
  solver.last_snapshot_ = state.iter();
  solver.last_state_ = state_file;
  LOG_IF(WARNING, !state.has_random_seed())
      << state_file << " was not written by Doppio: the data starts at its first record";
  apply_progress(solver, state);
}

void SnapshotAccess::apply_progress(Solver& solver, const SolverState& state) {
  solver.iteration_ = state.iter();
  solver.recent_losses_.assign(state.recent_loss().begin(), state.recent_loss().end());
  solver.resumed_ = true;

  // Caffe's states record neither data positions nor random numbers.
  if (state.has_random_seed()) solver.ctx_.seed = state.random_seed();
  const auto passes = static_cast<std::uint64_t>(state.iter()) *
                      static_cast<std::uint64_t>(solver.param().iter_size());
  solver.net().set_passes(state.has_train_passes() ? state.train_passes() : passes);
  restore_positions(solver.net(), "", state.layer_state());
  restore_test_positions(solver, state);
}

/// Reports an unwritable snapshot_prefix before the first iteration, not after hours of training.
void Solver::require_snapshots_writable() {
  if (std::exchange(prefix_checked_, true) || (group_ && group_->rank() != 0)) return;
  with_context(solver_context(*source_), [&] {
    const std::string prefix = snapshot_prefix(*source_);
    try {
      require_writable(prefix);
    } catch (const Error& e) {
      throw Error(str("snapshots cannot be written: ", e.message()), {}, "snapshot_prefix");
    }
  });
}

std::string Solver::snapshot() {
  const bool hdf5 = param().snapshot_format() == SolverParameter::HDF5;
  const std::string stem =
      str(with_context(solver_context(*source_), [&] { return snapshot_prefix(*source_); }),
          "_iter_", iteration_);
  const std::string model = stem + (hdf5 ? ".caffemodel.h5" : ".caffemodel");
  std::string state = stem + (hdf5 ? ".solverstate.h5" : ".solverstate");
  if (sharded_) sharded_->gather_history();
  const std::unique_ptr<WholeNet> whole = gather_parts(param().snapshot_diff());
  on_first_rank([&] {
    const std::string sha256 = (whole ? whole->net : net()).save(model, param().snapshot_diff());
    write_solver_state(state, SnapshotAccess::capture(*this, model, sha256),
                       whole ? whole->history : history());
  });
  snapshot_wanted_ = false;
  last_snapshot_ = iteration_;
  last_state_ = state;
  for (const auto& o : observers_) o->on_snapshot(*this, model, state);
  return state;
}

/// Writes a snapshot during training, where an error such as a full disk must not end the run.
void Solver::snapshot_or_log() {
  snapshot_wanted_ = false;
  try {
    snapshot();
  } catch (const Error& e) {
    LOG_IF(ERROR, !group_ || group_->rank() == 0)  // the only one that writes
        << "No snapshot of iteration " << iteration_ << ": " << e.what()
        << "; earlier snapshots are kept and training continues";
  }
}

void Solver::restore(const std::string& state_file, const std::string& weights_file) {
  const std::unique_ptr<WholeNet> whole = gather_parts();
  on_first_rank([&] {
    const SolverState state = read_solver_state(state_file);
    SnapshotAccess::apply(*this, whole.get(), state, state_file, weights_file);
  });
  scatter_parts(whole.get());
  synchronize();
}

}  // namespace doppio
