#include <algorithm>

#include "doppio.pb.h"
#include "doppio/solver.hpp"
#include "solver/average_precision.hpp"
#include "solver/snapshot.hpp"

namespace doppio {

namespace {

void set_precisions(TestResult::Output& output, std::map<int, float> precisions) {
  double sum = 0;
  for (const auto& [label, precision] : precisions) sum += precision;
  const auto classes = static_cast<double>(std::max<std::size_t>(1, precisions.size()));
  output.values = {static_cast<float>(sum / classes)};
  output.precisions = std::move(precisions);
}

/// Returns the type of the layer that makes `blob`.
std::string made_by(const Net& net, const std::string& blob) {
  std::string type;
  for (const NetLayer& layer : net.layers())
    for (const std::string& top : layer.top_names)
      if (top == blob) type = layer.type;
  return type;
}

}  // namespace

TestResult Solver::test(int index) {
  require(index >= 0 && index < static_cast<int>(test_nets_.size()), "there is no test net #",
          index, "; the solver has ", test_nets_.size());
  Net& net = *test_nets_[static_cast<std::size_t>(index)];
  const int batches = param().test_iter(index);
  this->net().release_blobs();  // frees memory for the test net
  for (const auto& o : observers_) o->on_test_start(*this, index);

  const bool detection = param().eval_type() == "detection";
  std::vector<std::vector<double>> sums(net.outputs().size());
  std::map<std::size_t, DetectionScores> scores;  // by output
  double loss = 0;
  for (int batch = 0; batch < batches; ++batch) {
    poll_action();
    if (stopped_) return {};
    loss += net.forward();
    for (std::size_t i = 0; i < sums.size(); ++i) {
      const Tensor& output = net.blob(net.outputs()[i]).data;
      if (detection && made_by(net, net.outputs()[i]) == "DetectionEvaluate") {
        scores[i].add(output);
        continue;
      }
      const float* values = output.read_host();
      sums[i].resize(static_cast<std::size_t>(output.count()));
      for (std::size_t k = 0; k < sums[i].size(); ++k) sums[i][k] += values[k];
    }
  }

  require_field(!detection || batches == 0 || !scores.empty(), "eval_type",
                "eval_type: 'detection' needs a DetectionEvaluate layer in test net #", index);

  TestResult result;
  result.net = index;
  result.loss = static_cast<float>(loss / std::max(1, batches));
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const std::string& blob = net.outputs()[i];
    result.outputs.push_back({blob, {}, net.loss_weight(blob)});
    for (const double sum : sums[i])
      result.outputs.back().values.push_back(static_cast<float>(sum / batches));
    if (const auto of_output = scores.find(i); of_output != scores.end())
      set_precisions(result.outputs.back(),
                     of_output->second.average_precisions(param().ap_version()));
  }
  for (const auto& o : observers_) o->on_test(*this, result);
  return result;
}

/// Runs all test nets. If a stop is requested, returns nothing and restores their data positions,
/// because a resumed run repeats this test.
std::vector<TestResult> Solver::test_all() {
  SolverState before;
  SnapshotAccess::save_test_positions(*this, before);
  std::vector<TestResult> results;
  for (int i = 0; i < static_cast<int>(test_nets_.size()) && !stopped_; ++i)
    results.push_back(test(i));
  if (!stopped_) return results;
  SnapshotAccess::restore_test_positions(*this, before);
  return {};
}

}  // namespace doppio
