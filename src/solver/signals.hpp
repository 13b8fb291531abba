#pragma once
#include <string>

#include "doppio/solver.hpp"

namespace doppio {

/// The action that a flag such as --sigint_effect names: "stop", "snapshot" or "none".
/// Throws: UsageError for another word.
SolverAction action_from_name(const std::string& name);

/// While it lives, signals ask the solver for an action instead of ending the process:
/// SIGINT `on_interrupt`, SIGHUP `on_hangup`, SIGTERM a snapshot and a stop. Each says on stderr
/// what will be done. A SIGINT after a signal that asked for a stop ends the process at once.
/// SIGPIPE is ignored: in `doppio train 2>&1 | tee log` Ctrl-C ends tee as well, and the snapshot
/// must still be written. At most one may live at a time.
class SignalHandler {
 public:
  /// `snapshot_at_stop`: whether the solver writes a snapshot whenever it stops.
  explicit SignalHandler(SolverAction on_interrupt = SolverAction::stop,
                         SolverAction on_hangup = SolverAction::snapshot,
                         bool snapshot_at_stop = true);
  ~SignalHandler();
  SignalHandler(const SignalHandler&) = delete;
  SignalHandler& operator=(const SignalHandler&) = delete;

  /// What was asked for since the last call; for Solver::set_action_source.
  SolverAction poll();
  /// Sets the iteration that messages say is being finished.
  void set_iteration(int iteration);
  /// True once poll() has seen SIGTERM: schedulers may then start the run again from the snapshot.
  bool terminated() const { return terminated_; }

 private:
  SolverAction on_interrupt_, on_hangup_;
  bool terminated_ = false;
};

}  // namespace doppio
