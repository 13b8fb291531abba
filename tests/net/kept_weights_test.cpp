// Weights that a net caches between passes must be updated whenever the weights change.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/cpu.hpp"
#include "doppio/net.hpp"
#include "net/passes/memory_plan.hpp"
#include "net/passes/passes.hpp"
#include "support/layer_harness.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

/// A convolution for each engine that caches weights: a is 1 x 1, b is 3 x 3, c has odd channels,
/// and d shares b's weights.
const char* const kNet =
    "layer { name: 'in' type: 'Input' top: 'x' input_param { shape { dim: [2, 64, 20, 21] } } }"
    "layer { name: 'a' type: 'Convolution' bottom: 'x' top: 'a' convolution_param {"
    " num_output: 64 kernel_size: 1 weight_filler { type: 'xavier' } } }"
    "layer { name: 'b' type: 'Convolution' bottom: 'a' top: 'b' param { name: 'w' }"
    " convolution_param { num_output: 64 kernel_size: 3 pad: 1 bias_term: false"
    " weight_filler { type: 'xavier' } } }"
    "layer { name: 'd' type: 'Convolution' bottom: 'b' top: 'd' param { name: 'w' }"
    " convolution_param { num_output: 64 kernel_size: 3 pad: 1 bias_term: false } }"
    "layer { name: 'c' type: 'Convolution' bottom: 'd' top: 'c' convolution_param {"
    " num_output: 44 kernel_size: 3 weight_filler { type: 'xavier' } } }";

struct Chain {
  explicit Chain(std::uint64_t seed) : ctx(seed) {
    NetState state;
    state.set_phase(TEST);
    net = std::make_unique<Net>(ctx, parse_prototxt(kNet, "net.prototxt"), state);
    Tensor& x = net->blob("x").data;
    float* v = x.write_host();
    for (Index i = 0; i < x.count(); ++i) v[i] = static_cast<float>(i * 37 % 101) / 50 - 1;
  }
  std::vector<float> result() {
    net->forward();
    return values(net->blob("c").data);
  }
  Index held() const { return plan_memory(*net, Passes::forward).held; }

  Context ctx;
  std::unique_ptr<Net> net;
};

/// Returns the output of a new net with the weights of `run`.
std::vector<float> fresh_result(Chain& run) {
  Chain fresh(99);
  for (std::size_t i = 0; i < run.net->parameters().size(); ++i)
    set_values(fresh.net->parameters()[i].blob->data, values(run.net->parameters()[i].blob->data));
  return fresh.result();
}

float difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  float most = 0;
  for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(a[i] - b[i]));
  return most;
}

TEST(KeptWeights, FollowEditsLayerByLayer) {
  Chain run(1);
  run.result();
  for (const char* layer : {"a", "b", "c"}) {
    const std::vector<float> before = run.result();
    run.net->layer(layer).layer->params[0].data.update_host()[5] += 1;
    const std::vector<float> after = run.result();
    EXPECT_NE(after, before) << layer;
    EXPECT_EQ(after, fresh_result(run)) << layer;
  }
}

TEST(KeptWeights, FollowFilesAndOtherNets) {
  Chain run(1), other(2);
  const std::vector<float> ours = run.result(), theirs = other.result();
  ASSERT_NE(ours, theirs);
  const ScratchFolder folder;
  const std::string file = folder / "other.caffemodel";
  other.net->save(file);
  run.net->copy_weights(file);
  EXPECT_EQ(run.result(), theirs);
  Chain third(3);
  const std::vector<float> before = third.result();
  run.net->share_weights(*third.net);
  EXPECT_LT(difference(run.result(), before), 1e-3f) << "it may use other engines than its owner";
  third.net->layer("c").layer->params[0].data.update_host()[0] += 1;
  EXPECT_GT(difference(third.result(), before), 0.1f);
  EXPECT_LT(difference(run.result(), third.result()), 1e-3f) << "what another net changed";
}

TEST(KeptWeights, AreThoseOfNetsThatNeverGoBack) {
  if (cpu_isa() == Isa::baseline) GTEST_SKIP() << "nothing is made of the weights";
  Chain run(1), sharing(1);
  run.net->save_memory(Passes::forward);
  EXPECT_GT(run.held(), 4 * 64 * 64 * (1 + 3 * 9)) << "transformed ones are larger";
  sharing.net->share_weights(*run.net);
  sharing.net->save_memory(Passes::forward);
  EXPECT_EQ(sharing.held(), 0) << "the other net may be in training";
}

TEST(KeptWeights, AreNotKeptInTraining) {
  Context ctx;
  NetState state;
  state.set_phase(TRAIN);
  const std::string loss =
      "layer { name: 'loss' type: 'Reduction' bottom: 'c' top: 'loss' loss_weight: 1 }";
  Net net(ctx, parse_prototxt(kNet + loss, "net.prototxt"), state);
  net.forward();
  net.save_memory(Passes::forward_and_backward);
  EXPECT_EQ(plan_memory(net, Passes::forward_and_backward).held, 0);
  net.save_memory(Passes::forward);
  if (cpu_isa() != Isa::baseline) {
    EXPECT_GT(plan_memory(net, Passes::forward).held, 0);
  }
}

}  // namespace
}  // namespace doppio
