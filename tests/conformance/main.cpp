// Reproduces the numbers of folders of cases; see README.md.
#include <gflags/gflags.h>
#include <glog/logging.h>

#include <cstdlib>
#include <iostream>

#include "isolate.hpp"
#include "run_case.hpp"

DEFINE_string(cases, "", "folder that holds cases, at any depth");
DEFINE_string(device, "cpu", "cpu or gpu");
DEFINE_bool(reference, false, "GEMM convolutions, generic Pooling and LRN, no fusion");
DEFINE_string(filter, "", "run only the cases whose name contains this");
DEFINE_bool(verbose, false, "print a line for every case that passes, and the log");

namespace doppio::conformance {
namespace {

/// Leaves every n-th case, for the shard of n that GoogleTest's variables name.
std::vector<Case> shard_of(const std::vector<Case>& cases) {
  const char *total = std::getenv("GTEST_TOTAL_SHARDS"), *index = std::getenv("GTEST_SHARD_INDEX");
  if (!total || !index) return cases;
  const std::size_t step = std::stoul(total);
  std::vector<Case> shard;
  for (std::size_t i = std::stoul(index); i < cases.size(); i += step) shard.push_back(cases[i]);
  return shard;
}

int run() {
  require(!FLAGS_cases.empty(), "--cases=FOLDER is missing");
  require(FLAGS_device == "cpu" || FLAGS_device == "gpu", "--device is cpu or gpu, not ",
          FLAGS_device);
  const Device device = FLAGS_device == "gpu" ? Device::cuda : Device::cpu;
  const std::vector<Case> all = find_cases(FLAGS_cases, FLAGS_filter);
  require(!all.empty(), FLAGS_cases, ": no case there matches '", FLAGS_filter, "'");
  const std::vector<Case> cases = shard_of(all);

  int passed = 0, failed = 0, skipped = 0;
  run_isolated(
      cases.size(), [&](std::size_t i) { return run_case(cases[i], device, FLAGS_reference); },
      [&](std::size_t i, const Result& result) {
    const bool pass = result.outcome == Result::Outcome::passed;
    const bool skip = result.outcome == Result::Outcome::skipped;
    ++(pass ? passed : skip ? skipped : failed);
    if (pass && !FLAGS_verbose) return;
    std::string line = result.text;  // the message of an error may have several lines
    for (std::size_t at; (at = line.find('\n')) != std::string::npos;) line[at] = ' ';
    std::cout << (pass   ? "pass "
                  : skip ? "SKIP "
                         : "FAIL ")
              << cases[i].name << ": " << line << '\n';
      });
  std::cout << passed << " passed, " << failed << " failed, " << skipped << " skipped" << '\n';
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace doppio::conformance

int main(int argc, char** argv) {
  gflags::SetUsageMessage(
      "conformance_test --cases=FOLDER [--device=cpu|gpu] [--reference] "
      "[--filter=TEXT]");
  gflags::ParseCommandLineFlags(&argc, &argv, true);
  if (!FLAGS_verbose) FLAGS_minloglevel = google::GLOG_FATAL;
  try {
    return doppio::conformance::run();
  } catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 2;
  }
}
