#include "core/threads.hpp"

#include <omp.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <future>
#include <system_error>
#include <thread>
#include <utility>

namespace doppio {

namespace {

/// Blocks all signals in this thread, and in those that it starts, as long as it lives.
class NoSignals {
 public:
  NoSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~NoSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  NoSignals(const NoSignals&) = delete;

 private:
  sigset_t before_;
};

/// Starts OpenMP threads that sleep until the process ends.
void add_sleeping_team(int size) {
  const NoSignals inherited;  // the process handles its signals elsewhere
  std::promise<void> started;
  const std::future<void> ready = started.get_future();
  std::thread([size, started = std::move(started)]() mutable {
#pragma omp parallel num_threads(size)
    {
      if (omp_get_thread_num() == 0) started.set_value();
      for (;;) pause();
    }
  }).detach();
  ready.wait();
}

}  // namespace

ThreadsFor::ThreadsFor(Index elements) : before_(omp_get_max_threads()) {
  if (elements <= kLittleWork) omp_set_num_threads(1);
}

ThreadsFor::~ThreadsFor() { omp_set_num_threads(before_); }

void shorten_waits() {
  // GNU's OpenMP spins for milliseconds, at every end of a loop, unless it has more threads than
  // the process has cores: then it spins 100 times (its manual, GOMP_SPINCOUNT). A variable set
  // here would come too late.
  static const bool once = [] {
    const int threads = omp_get_max_threads(), cores = omp_get_num_procs();
    const bool chosen = std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT");
    if (chosen || threads == 1 || threads > cores) return false;
    try {
      add_sleeping_team(cores - threads + 2);
    } catch (const std::system_error&) {  // no more threads: waits stay long
    }
    return true;
  }();
  static_cast<void>(once);
}

}  // namespace doppio
