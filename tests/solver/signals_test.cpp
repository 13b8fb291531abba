#include "solver/signals.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/expect_error.hpp"

namespace doppio {
namespace {

TEST(Signals, AskForTheirEffectOnce) {
  SignalHandler handler;
  EXPECT_EQ(handler.poll(), SolverAction::none);
  ::raise(SIGHUP);
  EXPECT_EQ(handler.poll(), SolverAction::snapshot);
  EXPECT_EQ(handler.poll(), SolverAction::none);
  ::raise(SIGINT);
  EXPECT_EQ(handler.poll(), SolverAction::stop);
  EXPECT_FALSE(handler.terminated());
}

TEST(Signals, TermAsksForASnapshotAndAStop) {
  SignalHandler handler(SolverAction::none, SolverAction::none);
  ::raise(SIGTERM);
  EXPECT_EQ(handler.poll(), SolverAction::snapshot_and_stop);
  EXPECT_TRUE(handler.terminated());
}

TEST(Signals, SnapshotAndStopCombine) {
  SignalHandler handler;
  ::raise(SIGHUP);
  ::raise(SIGINT);
  EXPECT_EQ(handler.poll(), SolverAction::snapshot_and_stop);
}

TEST(Signals, CanBeGivenOtherEffects) {
  SignalHandler handler(SolverAction::snapshot, SolverAction::none);
  ::raise(SIGINT);
  ::raise(SIGINT);  // does not request a stop, so a second one does not end the process
  EXPECT_EQ(handler.poll(), SolverAction::snapshot);
  ::raise(SIGHUP);
  EXPECT_EQ(handler.poll(), SolverAction::none);
}

/// Returns the signal that ended a child process running `action`, or 0.
template <class F>
int fatal_signal_of(F action) {
  const pid_t child = ::fork();
  if (child == 0) {
    action();
    ::_exit(0);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

TEST(Signals, ASecondInterruptEndsTheProcess) {
  const auto interrupts = [](int n) {
    SignalHandler handler;
    for (int i = 0; i < n; ++i) {
      ::raise(SIGINT);
      handler.poll();
    }
  };
  EXPECT_EQ(fatal_signal_of([&] { interrupts(1); }), 0);
  EXPECT_EQ(fatal_signal_of([&] { interrupts(2); }), SIGINT);
}

TEST(Signals, HaveTheirUsualMeaningAfterwards) {
  EXPECT_EQ(fatal_signal_of([] {
              { SignalHandler handler; }
              ::raise(SIGTERM);
            }),
            SIGTERM);
}

TEST(Signals, EffectsHaveNames) {
  EXPECT_EQ(action_from_name("stop"), SolverAction::stop);
  EXPECT_EQ(action_from_name("snapshot"), SolverAction::snapshot);
  EXPECT_EQ(action_from_name("none"), SolverAction::none);
  EXPECT_ERROR(action_from_name("snapshoot"),
               "unknown effect of a signal 'snapshoot'; did you mean 'snapshot'");
}

}  // namespace
}  // namespace doppio
