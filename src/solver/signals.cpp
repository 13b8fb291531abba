#include "solver/signals.hpp"

#include <signal.h>

#include <atomic>
#include <map>

#include "doppio/error.hpp"

namespace doppio {

namespace {

// A handler may do little more than set lock-free flags; any thread may be the one it interrupts.
using Flag = std::atomic<bool>;
static_assert(Flag::is_always_lock_free);
Flag g_interrupted, g_hung_up, g_terminated, g_interrupt_stops, g_stopping;
bool g_installed = false;

void handle(int signal) {
  if (signal == SIGHUP) g_hung_up = true;
  if (signal == SIGTERM) g_terminated = true;
  if (signal != SIGINT) return;
  if (g_stopping) {  // the user means it
    ::signal(SIGINT, SIG_DFL);
    ::raise(SIGINT);
  }
  g_interrupted = true;
  if (g_interrupt_stops) g_stopping = true;
}

void install(void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigfillset(&action.sa_mask);
  for (const int signal : {SIGINT, SIGHUP, SIGTERM})
    ensure(::sigaction(signal, &action, nullptr) == 0, "sigaction failed");
}

bool snapshots(SolverAction a) {
  return a == SolverAction::snapshot || a == SolverAction::snapshot_and_stop;
}
bool stops(SolverAction a) {
  return a == SolverAction::stop || a == SolverAction::snapshot_and_stop;
}

SolverAction both(SolverAction a, SolverAction b) {
  const bool snapshot = snapshots(a) || snapshots(b), stop = stops(a) || stops(b);
  if (snapshot) return stop ? SolverAction::snapshot_and_stop : SolverAction::snapshot;
  return stop ? SolverAction::stop : SolverAction::none;
}

}  // namespace

SolverAction action_from_name(const std::string& name) {
  static const std::map<std::string, SolverAction> actions = {{"stop", SolverAction::stop},
                                                              {"snapshot", SolverAction::snapshot},
                                                              {"none", SolverAction::none}};
  const auto it = actions.find(name);
  if (it == actions.end())
    throw UsageError(str("unknown effect of a signal '", name, "'",
                         did_you_mean(name, {"stop", "snapshot", "none"}),
                         "; known are stop, snapshot and none"));
  return it->second;
}

SignalHandler::SignalHandler(SolverAction on_interrupt, SolverAction on_hangup)
    : on_interrupt_(on_interrupt), on_hangup_(on_hangup) {
  ensure(!g_installed, "a SignalHandler is installed already");
  g_installed = true;
  for (Flag* flag : {&g_interrupted, &g_hung_up, &g_terminated, &g_stopping}) *flag = false;
  g_interrupt_stops = stops(on_interrupt);
  install(handle);
}

SignalHandler::~SignalHandler() {
  install(SIG_DFL);
  g_installed = false;
}

SolverAction SignalHandler::poll() {
  SolverAction action = SolverAction::none;
  if (g_interrupted.exchange(false)) action = both(action, on_interrupt_);
  if (g_hung_up.exchange(false)) action = both(action, on_hangup_);
  if (g_terminated.exchange(false)) {
    action = both(action, SolverAction::snapshot_and_stop);
    terminated_ = true;
  }
  return action;
}

}  // namespace doppio
