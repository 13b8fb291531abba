#include "solver/rank_report.hpp"

#include <glog/logging.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

#include "distributed/process_group.hpp"
#include "doppio.pb.h"

namespace doppio {

namespace {

class RankReport final : public SolverObserver {
 public:
  void on_start(Solver& solver) override { begin(solver); }
  void on_test(Solver& solver, const TestResult&) override { begin(solver); }
  void on_snapshot(Solver& solver, const std::string&, const std::string&) override {
    begin(solver);
  }

  void on_iteration(Solver& solver, int iteration, float, float) override {
    const int display = solver.param().display();
    if (display > 0 && iteration % display == 0) {
      if (iterations_ > 0) report(*solver.group());
      begin(solver);
    }
    ++iterations_;
  }

 private:
  using Clock = std::chrono::steady_clock;
  struct Times {
    double all, waited;  // s
    double computed() const { return all - waited; }
  };

  void begin(Solver& solver) {
    since_ = Clock::now();
    waited_before_ = solver.group()->seconds_waited();
    iterations_ = 0;
  }

  void report(ProcessGroup& group) {
    const Times own{std::chrono::duration<double>(Clock::now() - since_).count(),
                    group.seconds_waited() - waited_before_};
    const std::vector<Times> all = group.all_gather_value(own);
    double seconds = 0, waited = 0;
    std::vector<double> computed;
    for (const Times& t : all) {
      seconds += t.all;
      waited += t.waited;
      computed.push_back(t.computed());
    }
    const auto slowest = std::max_element(computed.begin(), computed.end());
    const auto rank = static_cast<int>(slowest - computed.begin());
    const double most = *slowest;
    std::nth_element(computed.begin(), computed.begin() + (computed.size() - 1) / 2,
                     computed.end());
    const double median = computed[(computed.size() - 1) / 2];
    LOG(INFO) << "Ranks: " << std::round(1000 * waited / seconds) / 10
              << " % of the time waited for each other; rank " << rank << " ("
              << group.member(rank).host << ") computes "
              << std::round(1000 * (most / median - 1)) / 10 << " % longer than the median";
  }

  Clock::time_point since_;
  double waited_before_ = 0;
  int iterations_ = 0;
};

}  // namespace

std::shared_ptr<SolverObserver> make_rank_report() { return std::make_shared<RankReport>(); }

}  // namespace doppio
