#include "solver/input_wait.hpp"

#include <glog/logging.h>

#include <algorithm>
#include <chrono>
#include <cmath>

namespace doppio {

namespace {

class InputWaitObserver final : public SolverObserver {
 public:
  void on_start(Solver& solver) override { begin(solver); }
  void on_iteration(Solver&, int, float, float) override { ++iterations_; }
  void on_test_start(Solver& solver, int) override { report(solver); }
  void on_test(Solver& solver, const TestResult&) override { begin(solver); }
  void on_snapshot(Solver& solver, const std::string&, const std::string&) override {
    report(solver);
    begin(solver);
  }
  void on_stop(Solver& solver, bool) override { report(solver); }

 private:
  using Clock = std::chrono::steady_clock;

  /// Returns the seconds that the slowest device has waited.
  static double waited(Solver& solver) {
    double longest = 0;
    for (int rank = 0; rank < solver.ranks(); ++rank) {
      double seconds = 0;
      for (const NetLayer& l : solver.net(rank).layers()) seconds += l.layer->input_wait_seconds();
      longest = std::max(longest, seconds);
    }
    return longest;
  }

  void begin(Solver& solver) {
    since_ = Clock::now();
    waited_before_ = waited(solver);
    iterations_ = 0;
  }

  void report(Solver& solver) {
    if (iterations_ == 0) return;
    iterations_ = 0;
    const double seconds = std::chrono::duration<double>(Clock::now() - since_).count();
    const double share = (waited(solver) - waited_before_) / seconds;
    LOG(INFO) << "Waited for input " << std::round(1000 * share) / 10 << " % of "
              << static_cast<float>(seconds) << " s";
  }

  Clock::time_point since_;
  double waited_before_ = 0;
  int iterations_ = 0;
};

}  // namespace

std::shared_ptr<SolverObserver> make_input_wait_observer() {
  return std::make_shared<InputWaitObserver>();
}

}  // namespace doppio
