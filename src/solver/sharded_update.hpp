#pragma once
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/bf16.hpp"
#include "distributed/process_group.hpp"
#include "doppio/net.hpp"
#include "solver/rules/lars.hpp"
#include "solver/rules/update_rule.hpp"

namespace doppio {

class Replica;
class SolverParameter;

/// Collective: returns the sums of the ranks' norms.
std::vector<SquaredNorms> sum_over_ranks(ProcessGroup& group, std::span<const SquaredNorms> norms);

/// Averages gradients over the ranks of a group and updates the weights, piece by piece, while the
/// backward pass continues.
///
/// Each piece of a parameter belongs to one rank. It adds the piece's gradients in the order of the
/// ranks, in double precision, updates its weights and history, and sends the weights to the others
/// (stage 1 of ZeRO, Rajbhandari et al. 2019). So the result does not depend on which message
/// arrives first, and each rank needs only its pieces of the history.
///
/// With gradient_type BFLOAT16 the owner sends the rounded mean instead, and all ranks update all
/// weights, as they do with `reduction: LIBRARY`, where MPI adds.
class ShardedUpdate {
 public:
  /// `ranks_per_copy`: consecutive ranks of the group that hold a part of the net each (model
  /// parallelism). Ranks with the same part average their gradients; here these are numbered.
  ShardedUpdate(ProcessGroup& group, Replica& replica, const SolverParameter& param,
                int ranks_per_copy = 1);

  /// Starts to average the gradients of group `g` of Net::gradient_groups(), which the backward
  /// pass has completed. With `step`, each piece is updated as soon as it is averaged; without, in
  /// update().
  void begin(std::size_t g, const UpdateStep* step);
  /// After begin(g, null) for all groups. Collective: returns the norms of all parameters, of
  /// averaged gradients; the same on all ranks.
  std::vector<SquaredNorms> squared_norms();
  /// Starts to update all pieces with the learning rates `rates` of all parameters, after
  /// begin(g, null) for all groups.
  void update(const UpdateStep& step, std::vector<float> rates);
  /// Waits until the weights of all parameters are updated on this rank.
  void finish();

  /// Collective: makes rank 0's history whole, for a snapshot.
  void gather_history();
  /// Bytes that this rank sends in one iteration.
  std::size_t bytes_per_iteration() const { return bytes_; }

 private:
  /// Some values of a parameter, which one rank adds up.
  struct Piece {
    std::size_t parameter;
    Index begin, count;
    int owner;
    std::size_t group;
    Index offset;  // among all values of its group
  };
  /// Memory for the values of a piece that other ranks send.
  struct Inbox {
    std::vector<float> values;
    std::vector<Bf16> rounded;
    std::size_t arriving = 0;
  };

  void add_pieces(std::size_t g);
  void start(std::size_t g);
  void receive_next();
  void average(std::size_t piece, Inbox& inbox);
  void averaged(std::size_t piece);
  void apply(std::size_t piece);
  int rank() const { return group_.rank() / ranks_per_copy_; }
  int size() const { return group_.size() / ranks_per_copy_; }
  /// Returns the rank in the group.
  int global(int rank) const { return rank * ranks_per_copy_ + group_.rank() % ranks_per_copy_; }
  bool owned(const Piece& piece) const { return piece.owner == rank(); }
  float* gradient(const Piece& piece) const;

  ProcessGroup& group_;
  const int ranks_per_copy_;
  Replica& replica_;
  const bool rounded_, by_library_;
  const bool updates_all_;  // each rank updates all weights, not only its pieces
  const std::unique_ptr<UpdateRule> rule_;
  Context host_;
  std::vector<Piece> pieces_;
  std::vector<std::vector<std::size_t>> pieces_of_;  // of each group
  std::vector<ParameterMemory> memory_;              // of each parameter
  std::vector<std::vector<Bf16>> outgoing_;          // rounded gradients of each group
  std::size_t bytes_ = 0;
  bool history_whole_ = true;
  const ProcessGroup::Handle gradients_, results_;  // what finish() waits for

  // Used only by the group's thread.
  std::optional<UpdateStep> step_;
  std::vector<float> rates_;         // of the parameters
  std::deque<std::size_t> waiting_;  // own pieces that are not received yet
  std::vector<std::unique_ptr<Inbox>> inboxes_;
  std::vector<Inbox*> free_;
};

}  // namespace doppio
