#include "solver/rank_report.hpp"

#include <glog/logging.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <vector>

#include "distributed/process_group.hpp"
#include "doppio.pb.h"

namespace doppio {

namespace {

class RankReport final : public SolverObserver {
 public:
  void on_start(Solver&) override { since_ = {}; }
  void on_test(Solver&, const TestResult&) override { since_ = {}; }
  void on_snapshot(Solver&, const std::string&, const std::string&) override { since_ = {}; }

  void on_iteration(Solver& solver, int iteration, float, float) override {
    const ProcessGroup& group = *solver.group();
    const Reading now{Clock::now(), group.seconds_waited(), group.bytes_sent()};
    if (since_) {
      measured_.all += std::chrono::duration<double>(now.time - since_->time).count();
      measured_.waited += now.waited - since_->waited;
      measured_.sent += static_cast<double>(now.sent - since_->sent) / 1e6;
      ++iterations_;
    }
    since_ = now;
    const int display = solver.param().display();
    if (display <= 0 || iteration % display != 0 || iterations_ == 0) return;
    measured_.sent /= iterations_;
    report(*solver.group(), measured_);
    measured_ = {};
    iterations_ = 0;
  }

 private:
  using Clock = std::chrono::steady_clock;
  struct Reading {
    Clock::time_point time;
    double waited;
    std::size_t sent;
  };
  struct Times {
    double all = 0, waited = 0;  // s
    double sent = 0;             // MB per iteration
    double computed() const { return all - waited; }
  };

  static void report(ProcessGroup& group, const Times& own) {
    const std::vector<Times> all = group.all_gather_value(own);
    double seconds = 0, waited = 0, sent = 0;
    std::vector<double> computed;
    for (const Times& t : all) {
      seconds += t.all;
      waited += t.waited;
      sent = std::max(sent, t.sent);
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
              << std::round(1000 * (most / median - 1)) / 10
              << " % longer than the median; a rank sends up to " << std::round(10 * sent) / 10
              << " MB in an iteration";
  }

  std::optional<Reading> since_;  // at the last iteration, unless a test or a snapshot followed
  Times measured_;                // since the last report
  int iterations_ = 0;            // in measured_
};

}  // namespace

std::shared_ptr<SolverObserver> make_rank_report() { return std::make_shared<RankReport>(); }

}  // namespace doppio
