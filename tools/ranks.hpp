#pragma once
// Training in several processes, which mpirun or srun has started.
#include <functional>
#include <memory>

#include "distributed/process_group.hpp"
#include "doppio/solver.hpp"
#include "solver/read_solver.hpp"

namespace doppio {

/// Joins the processes that a launcher has started; null without a launcher, or for one process.
/// From then on only rank 0 logs; the others only log warnings and errors, with their rank. Unless
/// --threads is given, the ranks of a machine share its cores. Throws: Error if this build or this
/// machine cannot, or if the processes are of different builds.
std::shared_ptr<ProcessGroup> join_ranks();

/// Runs `command` on this rank. If it throws, reports that, once if all ranks fail alike, and ends
/// the other ranks. Returns the exit code, the same on all ranks.
int run_ranks(const std::shared_ptr<ProcessGroup>& group, const std::function<int()>& command);

/// Collective: returns rank 0's solver, with the nets of rank 0's files inside, on all ranks.
SourcedSolver share_solver(ProcessGroup& group, const std::function<SourcedSolver()>& read);

/// Collective. Throws: Error that names the ranks whose data differ from rank 0's.
void require_same_data(Solver& solver);

/// Logs the ranks, their hosts and what they will exchange.
void log_ranks(const Solver& solver);

}  // namespace doppio
