#pragma once
#include <algorithm>
#include <string>
#include <vector>

#include "doppio/solver.hpp"
#include "solver/solver_text.hpp"
#include "support/layer_harness.hpp"

namespace doppio {

/// A classifier of 3 features into 3 classes with dropout. Its TestSource counts records, so the
/// net has all kinds of state that a snapshot must store. `batch` is the batch size.
inline std::string tiny_net(int batch = 4, const std::string& first_layer = "data") {
  return "name: 'tiny'"
         " layer { name: '" +
         first_layer +
         "' type: 'TestSource' top: 'data' top: 'label'"
         " dummy_data_param { num: " +
         std::to_string(batch) +
         " } }"
         R"( layer { name: 'ip1' type: 'InnerProduct' bottom: 'data' top: 'ip1'
               inner_product_param { num_output: 5 weight_filler { type: 'xavier' } } }
             layer { name: 'relu1' type: 'ReLU' bottom: 'ip1' top: 'ip1' }
             layer { name: 'drop1' type: 'Dropout' bottom: 'ip1' top: 'ip1' }
             layer { name: 'ip2' type: 'InnerProduct' bottom: 'ip1' top: 'ip2'
               inner_product_param { num_output: 3 weight_filler { type: 'xavier' } } }
             layer { name: 'accuracy' type: 'Accuracy' bottom: 'ip2' bottom: 'label'
               top: 'accuracy' include { phase: TEST } }
             layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'ip2' bottom: 'label'
               top: 'loss' })";
}

/// Solver parameters for the tiny net. `more` must not repeat fields that are set here.
inline SolverParameter tiny_solver(const std::string& more, const std::string& net = tiny_net()) {
  return solver_param("net_param { " + net + " } base_lr: 0.1 lr_policy: 'fixed' random_seed: 3 " +
                      "snapshot_after_train: false " + more);
}

/// Returns all weights and the history of a solver.
inline std::vector<float> memory_of(Solver& solver) {
  std::vector<float> all;
  const auto add = [&](const Tensor& tensor) {
    const std::vector<float> v = values(tensor);
    all.insert(all.end(), v.begin(), v.end());
  };
  for (const Parameter& p : solver.net().parameters()) add(p.blob->data);
  for (const Tensor& history : solver.history()) add(history);
  return all;
}

/// Records all observer calls of a solver.
struct Diary final : SolverObserver {
  void on_start(Solver&) override { events += "start "; }
  void on_iteration(Solver&, int iteration, float loss, float rate) override {
    events += str("i", iteration, " ");
    losses.push_back(loss);
    rates.push_back(rate);
  }
  void on_clip(Solver&, float norm, float factor) override {
    norms.push_back(norm);
    factors.push_back(factor);
  }
  void on_test_start(Solver& solver, int net) override {
    events += str("t", net, "@", solver.iteration(), " ");
  }
  void on_test(Solver&, const TestResult& result) override { tests.push_back(result); }
  void on_snapshot(Solver& solver, const std::string&, const std::string& state) override {
    events += str("s", solver.iteration(), " ");
    snapshots.push_back(state);
  }
  void on_final_loss(Solver&, float) override { events += "final "; }
  void on_stop(Solver&, bool early) override { events += early ? "early" : "done"; }

  std::string events;
  std::vector<float> losses, rates, norms, factors;
  std::vector<TestResult> tests;
  std::vector<std::string> snapshots;
};

inline std::shared_ptr<Diary> keep_diary(Solver& solver) {
  auto diary = std::make_shared<Diary>();
  solver.add_observer(diary);
  return diary;
}

}  // namespace doppio
