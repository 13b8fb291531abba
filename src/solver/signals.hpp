#pragma once
#include <string>

#include "doppio/solver.hpp"

namespace doppio {

/// The action that a flag such as --sigint_effect names: "stop", "snapshot" or "none".
/// Throws: UsageError for another word.
SolverAction action_from_name(const std::string& name);

/// While it lives, signals ask the solver for an action instead of ending the process:
/// SIGINT `on_interrupt`, SIGHUP `on_hangup`, SIGTERM a snapshot and a stop. A second SIGINT after
/// one that asked for a stop ends the process at once. At most one may live at a time.
class SignalHandler {
 public:
  explicit SignalHandler(SolverAction on_interrupt = SolverAction::stop,
                         SolverAction on_hangup = SolverAction::snapshot);
  ~SignalHandler();
  SignalHandler(const SignalHandler&) = delete;
  SignalHandler& operator=(const SignalHandler&) = delete;

  /// What was asked for since the last call; for Solver::set_action_source.
  SolverAction poll();
  /// True once poll() has seen SIGTERM: schedulers may then start the run again from the snapshot.
  bool terminated() const { return terminated_; }

 private:
  SolverAction on_interrupt_, on_hangup_;
  bool terminated_ = false;
};

}  // namespace doppio
