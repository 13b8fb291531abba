// `doppio time`: measures the time of each layer.
#include <glog/logging.h>

#include <algorithm>
#include <chrono>
#include <iomanip>
#include <memory>

#include "core/accelerator.hpp"
#include "net/multiply_adds.hpp"
#include "net/passes/passes.hpp"
#include "tools/command.hpp"
#include "tools/flags.hpp"
#include "tools/interrupt.hpp"
#include "tools/setup.hpp"

namespace doppio {

namespace {

using Clock = std::chrono::steady_clock;

/// Returns the milliseconds that `action` takes, including work queued on an accelerator.
template <class Action>
double milliseconds(Context& ctx, Action action) {
  const auto begin = Clock::now();
  action();
  if (ctx.accelerator()) ctx.accelerator()->synchronize();
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

struct Times {
  double forward = 0, backward = 0;
};

/// Runs one forward and backward pass and adds the times of each layer.
Times run_once(Net& net, std::vector<Times>& layers) {
  Context& ctx = net.context();
  Times sum;
  ctx.pass = net.passes();
  net.set_passes(net.passes() + 1);
  net.release_blobs();
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const double ms = milliseconds(ctx, [&] { net.forward_layer(i); });
    if (net.is_fused(net.layers()[i])) continue;
    layers[i].forward += ms;
    sum.forward += ms;
  }
  net.clear_grads();
  for (std::size_t i = layers.size(); i-- > 0;) {
    const double ms = milliseconds(ctx, [&] { net.backward_layer(i); });
    if (!net.layers()[i].needs_backward || net.is_fused(net.layers()[i])) continue;
    layers[i].backward += ms;
    sum.backward += ms;
  }
  return sum;
}

/// Returns the value at `percent` % of the sorted values.
double percentile(std::vector<double> values, std::size_t percent) {
  const auto at = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) * percent / 100);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

void log_layer(const std::string& name, const char* pass, double ms, double multiply_adds_) {
  std::ostringstream speed;
  if (multiply_adds_ > 0 && ms > 0) speed << " (" << 2e-6 * multiply_adds_ / ms << " GFLOP/s)";
  LOG(INFO) << std::setfill(' ') << std::setw(10) << name << "\t" << pass << ": " << ms << " ms."
            << speed.str();
}

/// Returns the net of --model in the phase of --phase, or in the first complete phase.
std::unique_ptr<Net> make_net(Context& ctx, const std::vector<std::string>& sets) {
  const std::vector<Phase> phases = phases_of_flag();
  const auto make = [&](Phase phase) {
    Overrides overrides(sets);
    const NetState state = state_of_flags(phase);
    SourcedNet source = read_model(overrides, state);
    overrides.require_all_used();
    return std::make_unique<Net>(ctx, std::move(source), state);
  };
  try {
    return make(phases.front());
  } catch (const PhaseError& e) {
    if (phases.size() == 1) throw;
    std::unique_ptr<Net> net;
    try {
      net = make(phases.back());
    } catch (const Error&) {
      throw e;
    }
    LOG(INFO) << "There is no TRAIN net, so the TEST net is timed: " << e.what();
    return net;
  }
}

int run(const Arguments& given) {
  require_flag("model", "time");
  if (FLAGS_iterations < 1) throw UsageError("--iterations must be at least 1");
  Context ctx = open_context();
  apply_flags(ctx);
  const std::unique_ptr<Net> made = make_net(ctx, given.sets);
  Net& net = *made;
  net.save_memory(Passes::forward_and_backward);

  LOG(INFO) << "Performing Forward";
  LOG(INFO) << "Initial loss: " << net.forward();
  LOG(INFO) << "Performing Backward";
  net.backward();

  LOG(INFO) << "*** Benchmark begins ***";
  LOG(INFO) << "Testing for " << FLAGS_iterations << " iterations.";
  std::vector<Times> layers(net.layers().size());
  Times sum;
  std::vector<double> passes;
  const Interruptible signals;
  const double total = milliseconds(ctx, [&] {
    for (int i = 1; i <= FLAGS_iterations; ++i) {
      signals.check();
      const Times once = run_once(net, layers);
      sum.forward += once.forward;
      sum.backward += once.backward;
      passes.push_back(once.forward + once.backward);
      LOG(INFO) << "Iteration: " << i << " forward-backward time: " << passes.back() << " ms.";
    }
  });
  LOG(INFO) << "Average time per layer: ";
  const double n = FLAGS_iterations;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const NetLayer& l = net.layers()[i];
    const double work = multiply_adds(l);
    log_layer(l.name, "forward", layers[i].forward / n, work);
    log_layer(l.name, "backward", layers[i].backward / n, backward_multiply_adds(l));
  }
  LOG(INFO) << "Average Forward pass: " << sum.forward / n << " ms.";
  LOG(INFO) << "Average Backward pass: " << sum.backward / n << " ms.";
  LOG(INFO) << "Average Forward-Backward: " << (sum.forward + sum.backward) / n << " ms.";
  LOG(INFO) << "Median Forward-Backward: " << percentile(passes, 50)
            << " ms, 95th percentile: " << percentile(passes, 95) << " ms.";
  LOG(INFO) << "Total Time: " << total << " ms.";
  LOG(INFO) << "*** Benchmark ends ***";
  return kDone;
}

}  // namespace

Command time_command() {
  return {
      .name = "time",
      .summary = "measure how long each layer of a net takes",
      .operands = "",
      .flags =
          {{"model=FILE", "net prototxt"},
           {"phase=PHASE",
            "phase to time, TRAIN or TEST (default: TRAIN, or TEST if the net has no TRAIN phase)"},
           {"iterations=N", "forward and backward passes to measure"},
           {"gpu=ID", "number of the GPU to measure, such as 0 (default: the CPU)"},
           {"set=FIELD=VALUE", "change a field of the net for this run: `doppio help set`"},
           {"level=N", "level of the net, for its include and exclude rules"},
           {"stage=NAMES", "stages of the net, for the same rules, separated by commas"},
           {"no_fusion", "measure every layer separately, without fusing it with the next ones"},
           {"reference", "measure the slow reference implementations"}},
      .example = "doppio time --model=models/alexnet/deploy.prototxt --iterations=10",
      .run = run};
}

}  // namespace doppio
