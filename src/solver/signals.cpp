#include "solver/signals.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <iterator>
#include <map>
#include <string_view>
#include <utility>

#include "doppio/error.hpp"

namespace doppio {

namespace {

// Handlers may interrupt any thread, so they only use lock-free and async-signal-safe functions.
using Flag = std::atomic<bool>;
static_assert(Flag::is_always_lock_free);
Flag g_interrupted, g_hung_up, g_terminated, g_interrupt_stops, g_stopping;
std::atomic<int> g_iteration;
bool g_installed = false;
std::map<int, std::string> g_effects;  // text per signal; constant while a handler exists

/// Reports what happens after the current iteration. Uses a single write, as other threads may log.
void announce(int signal) {
  const auto effect = g_effects.find(signal);
  if (effect == g_effects.end()) return;
  char line[200];
  char* end = line;
  const auto append = [&](std::string_view text) {
    end = std::copy_n(text.data(), std::min<std::size_t>(text.size(), std::end(line) - end), end);
  };
  append(signal == SIGINT    ? "\nCtrl-C"
         : signal == SIGHUP  ? "SIGHUP"
         : signal == SIGUSR1 ? "SIGUSR1"
                             : "SIGTERM");
  append(": finishing iteration ");
  end = std::to_chars(end, std::end(line), g_iteration.load()).ptr;
  append(effect->second);
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line, end - line);
}

void handle(int signal) {
  const int error = errno;
  if (signal == SIGINT && g_stopping) {  // a second Ctrl-C ends the process
    ::signal(SIGINT, SIG_DFL);
    ::raise(SIGINT);
  }
  announce(signal);
  if (signal == SIGINT) g_interrupted = true;
  if (signal == SIGHUP) g_hung_up = true;
  const bool terminates = signal == SIGTERM || signal == SIGUSR1;
  if (terminates) g_terminated = true;
  if (terminates || (signal == SIGINT && g_interrupt_stops)) g_stopping = true;
  errno = error;
}

void install(void (*handler)(int), void (*at_broken_pipe)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigfillset(&action.sa_mask);
  for (const int signal : {SIGINT, SIGHUP, SIGTERM, SIGUSR1})
    ensure(::sigaction(signal, &action, nullptr) == 0, "sigaction failed");
  ::signal(SIGPIPE, at_broken_pipe);
}

bool snapshots(SolverAction a) {
  return a == SolverAction::snapshot || a == SolverAction::snapshot_and_stop;
}
bool stops(SolverAction a) {
  return a == SolverAction::stop || a == SolverAction::snapshot_and_stop;
}

/// Describes for messages what follows the iteration.
std::string effect_of(SolverAction action, bool snapshot_at_stop) {
  if (!stops(action)) return ", then writing a snapshot; training continues\n";
  const bool saves = snapshots(action) || snapshot_at_stop;
  return str(
      saves ? ", then writing a snapshot and stopping" : ", then stopping without a snapshot",
      "; press Ctrl-C again to stop at once\n");
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

SignalHandler::SignalHandler(SolverAction on_interrupt, SolverAction on_hangup,
                             bool snapshot_at_stop, bool announces)
    : on_interrupt_(on_interrupt), on_hangup_(on_hangup) {
  ensure(!g_installed, "a SignalHandler is installed already");
  g_installed = true;
  for (Flag* flag : {&g_interrupted, &g_hung_up, &g_terminated, &g_stopping}) *flag = false;
  g_interrupt_stops = stops(on_interrupt);
  g_iteration = 0;
  g_effects.clear();
  const std::map<int, SolverAction> actions = {{SIGINT, on_interrupt},
                                               {SIGHUP, on_hangup},
                                               {SIGTERM, SolverAction::snapshot_and_stop},
                                               {SIGUSR1, SolverAction::snapshot_and_stop}};
  for (const auto& [signal, action] : actions)
    if (announces && action != SolverAction::none)
      g_effects[signal] = effect_of(action, snapshot_at_stop);
  install(handle, SIG_IGN);
}

SignalHandler::~SignalHandler() {
  install(SIG_DFL, SIG_DFL);
  g_installed = false;
}

void SignalHandler::set_iteration(int iteration) { g_iteration = iteration; }

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
