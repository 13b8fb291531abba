#include "solver/rules/plateau.hpp"

#include <glog/logging.h>

#include <algorithm>
#include <cmath>

#include "doppio.pb.h"
#include "doppio/error.hpp"
#include "doppio/solver.hpp"

namespace doppio {

namespace {

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// Returns true if larger values are better. Throws: Error if the direction is unknown.
bool rises(const Net& net, const std::string& metric) {
  if (net.loss_weight(metric) != 0) return false;
  std::string type;
  for (const NetLayer& layer : net.layers())
    if (has(layer.top_names, metric)) type = layer.type;
  require_field(type == "Accuracy", "plateau_metric", "plateau_metric '", metric,
                "' comes from a layer of type ", type,
                "; it must be a loss or the top of an Accuracy layer");
  return true;
}

}  // namespace

Plateau::Plateau(const SolverParameter& p)
    : metric_(p.plateau_metric()),
      patience_(p.plateau_patience()),
      max_drops_(p.plateau_max_drops()),
      min_improvement_(p.plateau_min_improvement()) {
  require_field(!metric_.empty(), "plateau_metric",
                "lr_policy 'plateau' needs plateau_metric, the output of the test net that is to "
                "improve, such as \"accuracy\"");
  require_field(p.test_interval() > 0, "test_interval",
                "lr_policy 'plateau' needs tests: test_interval must be greater than 0");
  require_field(patience_ >= 1, "plateau_patience", "plateau_patience must be at least 1, it is ",
                patience_);
  require_field(max_drops_ >= 0, "plateau_max_drops",
                "plateau_max_drops must not be negative, it is ", max_drops_);
  require_field(min_improvement_ >= 0, "plateau_min_improvement",
                "plateau_min_improvement must not be negative, it is ", min_improvement_);
}

void Plateau::watch(const std::vector<std::unique_ptr<Net>>& test_nets) {
  std::vector<std::string> outputs;
  for (std::size_t i = 0; i < test_nets.size(); ++i) {
    const std::vector<std::string>& here = test_nets[i]->outputs();
    outputs.insert(outputs.end(), here.begin(), here.end());
    if (!has(here, metric_)) continue;
    require_field(net_ < 0, "plateau_metric", "plateau_metric '", metric_,
                  "' is an output of the test nets #", net_, " and #", i,
                  "; rename the top in one of them, so that it is clear which one to watch");
    net_ = static_cast<int>(i);
    rises_ = rises(*test_nets[i], metric_);
  }
  if (net_ >= 0) {
    LOG(INFO) << "Plateau watches " << metric_ << " of test net #" << net_ << ", which is to "
              << (rises_ ? "rise" : "fall");
    return;
  }
  std::string known;
  for (const std::string& name : outputs) known += (known.empty() ? "" : ", ") + name;
  require_field(!test_nets.empty(), "plateau_metric",
                "lr_policy 'plateau' needs a test net; give test_iter");
  require_field(false, "plateau_metric", "no test net has an output '", metric_, "'; there are ",
                known, did_you_mean(metric_, outputs));
}

void Plateau::observe(const TestResult& result) {
  if (result.net != net_) return;
  for (const TestResult::Output& output : result.outputs) {
    if (output.blob != metric_) continue;
    const float value = output.values.at(0);
    const float gain = rises_ ? value - best_.value_or(0) : best_.value_or(0) - value;
    if (std::isfinite(value) && (!best_ || gain > min_improvement_)) {
      best_ = value;
      tests_ = 0;
    } else if (++tests_ >= patience_ && drops_ < max_drops_) {
      ++drops_;
      tests_ = 0;
    }
  }
}

std::string Plateau::reason() const {
  const std::string best = best_ ? str(" on ", *best_) : "";
  return str(metric_, " has not improved", best, " in ", patience_, " tests");
}

void Plateau::save(SolverState& state) const {
  state.set_current_step(drops_);
  state.set_plateau_metric(metric_);
  state.set_plateau_tests(tests_);
  if (best_) state.set_plateau_best(*best_);
}

void Plateau::restore(const SolverState& state) {
  require(state.current_step() >= 0 && state.current_step() <= max_drops_,
          "the snapshot's learning rate has dropped ", state.current_step(),
          " times, but plateau_max_drops is ", max_drops_, "; raise plateau_max_drops");
  drops_ = state.current_step();
  tests_ = 0;
  best_.reset();
  if (state.has_plateau_metric() && state.plateau_metric() != metric_) {
    LOG(INFO) << "The snapshot watched " << state.plateau_metric() << ": plateau_metric " << metric_
              << " starts without a best value";
    return;
  }
  tests_ = state.plateau_tests();
  if (state.has_plateau_best()) best_ = state.plateau_best();
}

}  // namespace doppio
