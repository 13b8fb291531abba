#include "tools/interrupt.hpp"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string_view>

namespace doppio {

namespace {

std::atomic<int> g_signal = 0;
static_assert(std::atomic<int>::is_always_lock_free);

void handle(int signal) {
  g_signal = signal;
  if (signal != SIGINT) return;
  constexpr std::string_view kText =
      "\nCtrl-C: stopping after this pass; press again to stop at once\n";
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, kText.data(), kText.size());
}

void install(void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART | SA_RESETHAND;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before = {};
    ::sigaction(signal, nullptr, &before);
    if (before.sa_handler != SIG_IGN) ::sigaction(signal, &action, nullptr);
  }
}

}  // namespace

Interruptible::Interruptible() {
  g_signal = 0;
  install(handle);
}

Interruptible::~Interruptible() { install(SIG_DFL); }

bool Interruptible::requested() const { return g_signal != 0; }

void Interruptible::check() const {
  if (const int signal = g_signal) throw Interrupted{signal};
}

void end_by(int signal) {
  ::signal(signal, SIG_DFL);
  ::raise(signal);
  std::_Exit(128 + signal);  // reached if the signal is blocked
}

}  // namespace doppio
