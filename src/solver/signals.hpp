#pragma once
#include <string>

#include "doppio/solver.hpp"

namespace doppio {

/// Parses the value of a flag such as --sigint_effect: "stop", "snapshot" or "none". Throws:
/// UsageError for another value.
SolverAction action_from_name(const std::string& name);

/// While an object lives, signals request a solver action instead of ending the process: SIGINT
/// `on_interrupt`, SIGHUP `on_hangup`, SIGTERM and SIGUSR1 a snapshot and a stop. SIGUSR1 is for
/// launchers that pass on SIGTERM but kill the processes soon after. Each prints the effect on
/// stderr. A SIGINT after a stop was requested ends the process at once. SIGPIPE is ignored: in
/// `doppio train 2>&1 | tee log` Ctrl-C also ends tee, and the snapshot must still be written. At
/// most one object may exist at a time.
class SignalHandler {
 public:
  /// `snapshot_at_stop`: whether the solver writes a snapshot whenever it stops. `announces`:
  /// whether signals print their effect.
  explicit SignalHandler(SolverAction on_interrupt = SolverAction::stop,
                         SolverAction on_hangup = SolverAction::snapshot,
                         bool snapshot_at_stop = true, bool announces = true);
  ~SignalHandler();
  SignalHandler(const SignalHandler&) = delete;
  SignalHandler& operator=(const SignalHandler&) = delete;

  /// Returns the action requested since the last call. For Solver::set_action_source().
  SolverAction poll();
  /// Sets the iteration shown in messages.
  void set_iteration(int iteration);
  /// Returns true once poll() has seen SIGTERM or SIGUSR1. Schedulers may then resume from the
  /// snapshot.
  bool terminated() const { return terminated_; }

 private:
  SolverAction on_interrupt_, on_hangup_;
  bool terminated_ = false;
};

}  // namespace doppio
