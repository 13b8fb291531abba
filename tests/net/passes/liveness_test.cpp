// When blobs are released, and nets that save memory.
#include "net/passes/liveness.hpp"

#include <map>

#include "core/arena.hpp"
#include "net/passes/passes.hpp"
#include "support/layer_harness.hpp"

namespace doppio {
namespace {

std::unique_ptr<Net> make_net(Context& ctx, const std::string& text) {
  NetState state;
  state.set_phase(TRAIN);
  return std::make_unique<Net>(ctx, parse_prototxt(text, "net.prototxt"), state);
}

std::string layer(const std::string& name, const std::string& type, const std::string& bottom,
                  const std::string& top, const std::string& more = "") {
  std::string text = str("layer { name: '", name, "' type: '", type, "' top: '", top, "' ", more);
  std::istringstream bottoms(bottom);
  for (std::string b; bottoms >> b;) text += " bottom: '" + b + "'";
  return text + " }\n";
}

std::string inner_product(const std::string& name, const std::string& bottom) {
  return layer(name, "InnerProduct", bottom, name,
               "inner_product_param { num_output: 2 weight_filler { type: 'xavier' } }");
}

const std::string kData =
    "layer { name: 'data' type: 'DummyData' top: 'x' top: 'y' dummy_data_param {\n"
    "  shape { dim: 3 dim: 2 } shape { dim: 3 }\n"
    "  data_filler { type: 'constant' value: 2 } data_filler { type: 'constant' value: 1 } } }\n";
const std::string kChain = kData + inner_product("a", "x") + layer("r", "ReLU", "a", "a") +
                           inner_product("b", "a") + layer("loss", "SoftmaxWithLoss", "b y", "l");

/// Returns "layer forward: +begins -ends" of every step at which a lifetime begins or ends.
std::string outline(const Net& net, Passes passes, const std::vector<std::string>& keep = {}) {
  const Liveness live = find_lifetimes(net, passes, keep);
  std::string text;
  for (std::size_t step = 0; step < live.steps.size(); ++step) {
    const bool forward = step < net.layers().size();
    std::string line;
    for (const std::size_t s : live.steps[step].begins) line += " +" + live.shared[s].name;
    for (const std::size_t s : live.steps[step].ends) line += " -" + live.shared[s].name;
    const std::size_t i = forward ? step : live.steps.size() - 1 - step;
    if (!line.empty())
      text += net.layers()[i].name + (forward ? " forward:" : " backward:") + line + "\n";
  }
  return text;
}

TEST(Liveness, DataLivesAsLongAsTheTraitsSay) {
  Context ctx;
  const auto net = make_net(ctx, kChain);
  EXPECT_EQ(outline(*net, Passes::forward),
            "a forward: +blob 'a'\n"
            "b forward: +blob 'b' -blob 'a'\n"
            "loss forward: -blob 'b'\n");
  // Backward of a loss reads its scores, of an inner product its bottom, and of a ReLU its top. The
  // layer below reads that too if the ReLU is fused into it. The gradient of a is live from the
  // layer above to the layer below.
  EXPECT_EQ(outline(*net, Passes::forward_and_backward),
            "a forward: +blob 'a'\n"
            "b forward: +blob 'b'\n"
            "loss backward: +the gradient of blob 'b' -blob 'b'\n"
            "b backward: +the gradient of blob 'a' -the gradient of blob 'b'\n"
            "a backward: -blob 'a' -the gradient of blob 'a'\n");
}

TEST(Liveness, KeepsWhatIsAskedFor) {
  Context ctx;
  const auto net = make_net(ctx, kChain);
  EXPECT_EQ(outline(*net, Passes::forward, {"a"}),
            "b forward: +blob 'b'\n"
            "loss forward: -blob 'b'\n");
}

TEST(Liveness, ViewsLiveAsLongAsTheLastOfThem) {
  Context ctx;
  const auto net = make_net(ctx, kData + inner_product("a", "x") + layer("f", "Flatten", "a", "f") +
                                     inner_product("b", "f") + inner_product("c", "f") +
                                     layer("s", "Eltwise", "b c", "s") +
                                     layer("loss", "SoftmaxWithLoss", "s y", "l"));
  EXPECT_EQ(outline(*net, Passes::forward),
            "a forward: +blob 'a'\n"
            "b forward: +blob 'b'\n"
            "c forward: +blob 'c' -blob 'a'\n"
            "s forward: +blob 's' -blob 'b' -blob 'c'\n"
            "loss forward: -blob 's'\n");
}

TEST(Liveness, CountsWhatAnArenaNeeds) {
  Context ctx;
  const auto net = make_net(ctx, kChain);
  // Three rows of two floats fit in a cache line: a and b, then the gradient of b, then the
  // gradient of a in the memory of b.
  EXPECT_EQ(arena_bytes(*net, find_lifetimes(*net, Passes::forward, {})), 2 * 64);
  EXPECT_EQ(arena_bytes(*net, find_lifetimes(*net, Passes::forward_and_backward, {})), 3 * 64);
}

/// Returns loss and gradients of two iterations, which memory saving must not change.
std::vector<float> results(Net& net) {
  std::vector<float> all;
  for (int i = 0; i < 2; ++i) {
    net.clear_grads();
    all.push_back(net.forward());
    net.backward();
    for (const Parameter& p : net.parameters())
      for (const float v : values(p.blob->grad)) all.push_back(v);
  }
  return all;
}

const std::map<std::string, std::string> kNets = {
    {"chain", kChain},
    {"unread gradients of a Split", kData + inner_product("a", "x") +
                                        layer("acc", "Accuracy", "a y", "acc") +
                                        layer("quiet", "Power", "a", "quiet") +
                                        "layer { name: 'z' type: 'Silence' bottom: 'quiet' }" +
                                        layer("loss", "SoftmaxWithLoss", "a y", "l")},
    {"views, in place, several losses",
     "force_backward: true\n" + kData + inner_product("a", "x") + layer("d", "Dropout", "a", "a") +
         layer("f", "Flatten", "a", "f") + layer("t", "TanH", "f", "f") + inner_product("b", "f") +
         inner_product("c", "f") + layer("s", "Eltwise", "b c", "s") +
         layer("j", "Concat", "s x", "j", "concat_param { axis: 1 }") +
         layer("l1", "SoftmaxWithLoss", "j y", "l1") +
         layer("l2", "EuclideanLoss", "b c", "l2", "loss_weight: 0.5")},
    {"shared weights, and data read by several",
     kData +
         layer("a", "InnerProduct", "x", "a",
               "param { name: 'w' } inner_product_param { num_output: 2 weight_filler { type: "
               "'xavier' } }") +
         layer("s", "Sigmoid", "a", "s") +
         layer("b", "InnerProduct", "s", "b",
               "param { name: 'w' } inner_product_param { num_output: 2 }") +
         layer("m", "Eltwise", "b x", "m", "eltwise_param { operation: PROD }") +
         layer("l", "EuclideanLoss", "m x", "l")}};

TEST(SaveMemory, ChangesNoResult) {
  for (const auto& [name, text] : kNets) {
    Context ctx;
    const auto all = make_net(ctx, text), saving = make_net(ctx, text);
    saving->save_memory(Passes::forward_and_backward);
    EXPECT_EQ(results(*saving), results(*all)) << name;
  }
}

TEST(SaveMemory, ForwardPassesAloneMayRepeat) {
  Context ctx;
  const auto net = make_net(ctx, kChain);
  net->save_memory(Passes::forward_and_backward);
  const float loss = net->forward();
  EXPECT_EQ(net->forward(), loss);
  EXPECT_NO_THROW(net->backward());
}

TEST(SaveMemory, NetsShareAnArena) {
  Context ctx;
  const auto arena = std::make_shared<Arena>(1 << 20);
  const auto a = make_net(ctx, kChain), b = make_net(ctx, kChain);
  a->save_memory(Passes::forward_and_backward, {}, arena);
  b->save_memory(Passes::forward, {}, arena);
  const std::vector<float> alone = results(*make_net(ctx, kChain));
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(results(*a), alone);
    EXPECT_EQ(b->forward(), alone[0]);
  }
  EXPECT_EQ(static_cast<Index>(arena->peak()),
            arena_bytes(*a, find_lifetimes(*a, Passes::forward_and_backward, {})));
}

TEST(SaveMemory, WhatIsKeptCanBeRead) {
  Context ctx;
  const auto net = make_net(ctx, kChain), all = make_net(ctx, kChain);
  net->save_memory(Passes::forward, {"a"});
  net->forward();
  all->forward();
  EXPECT_EQ(values(net->blob("a").data), values(all->blob("a").data));
  EXPECT_EQ(values(net->blob("x").data), values(all->blob("x").data));
  EXPECT_EQ(values(net->blob("l").data), values(all->blob("l").data));
  EXPECT_ERROR(net->blob("b").data.read_host(), "blob 'b' was released");
  EXPECT_ERROR(net->save_memory(Passes::forward, {"la"}), "has no blob 'la'");
}

TEST(SaveMemory, BackwardNeedsItsForward) {
  Context ctx;
  const auto net = make_net(ctx, "name: 'n'\n" + kChain);
  net->save_memory(Passes::forward_and_backward);
  net->forward();
  net->backward();
  EXPECT_EQ(error_of([&] { net->backward(); }),
            "net 'n' saves memory, so a backward pass needs a forward pass of its own before it");
  net->save_memory(Passes::forward);
  net->forward();
  EXPECT_EQ(error_of([&] { net->backward(); }),
            "net 'n' saves memory for forward passes only; for a backward pass call "
            "save_memory(Passes::forward_and_backward)");
}

}  // namespace
}  // namespace doppio
