// A net that is split over several devices computes what the whole net computes.
#include <algorithm>
#include <cmath>

#include "core/thread_peers.hpp"
#include "doppio.pb.h"
#include "doppio/net.hpp"
#include "math/tensor_part.hpp"
#include "net/passes/passes.hpp"
#include "support/layer_harness.hpp"
#include "support/on_threads.hpp"

namespace doppio {
namespace {

constexpr char kNet[] = R"(
  model_parallel { layer_from: "conv1" layer_to: "fc5" }
  layer { name: "data" type: "Input" top: "data" top: "label"
          input_param { shape { dim: 3 dim: 3 dim: 13 dim: 13 } shape { dim: 3 } } }
  layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
          convolution_param { num_output: 16 kernel_size: 3 weight_filler { type: "xavier" }
                              bias_filler { type: "uniform" max: 0.1 } } }
  layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
  layer { name: "norm1" type: "LRN" bottom: "conv1" top: "norm1"
          lrn_param { local_size: 3 alpha: 2 group: 2 } }
  layer { name: "pool1" type: "Pooling" bottom: "norm1" top: "pool1"
          pooling_param { kernel_size: 3 stride: 2 } }
  layer { name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2"
          convolution_param { num_output: 12 kernel_size: 3 pad: 1 group: 2
                              weight_filler { type: "xavier" } } }
  layer { name: "relu2" type: "PReLU" bottom: "conv2" top: "conv2"
          prelu_param { filler { type: "uniform" max: 0.3 } } }
  layer { name: "conv3" type: "Convolution" bottom: "conv2" top: "conv3"
          convolution_param { num_output: 8 kernel_size: 3 weight_filler { type: "msra" } } }
  layer { name: "pool3" type: "Pooling" bottom: "conv3" top: "pool3"
          pooling_param { pool: STOCHASTIC kernel_size: 2 } }
  layer { name: "fc4" type: "InnerProduct" bottom: "pool3" top: "fc4"
          inner_product_param { num_output: 10 transpose: true weight_filler { type: "xavier" } } }
  layer { name: "drop4" type: "Dropout" bottom: "fc4" top: "fc4" }
  layer { name: "fc5" type: "InnerProduct" bottom: "fc4" top: "fc5"
          inner_product_param { num_output: 6 weight_filler { type: "xavier" } } }
  layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc5" bottom: "label" top: "loss" })";

NetState train_state() {
  NetState state;
  state.set_phase(TRAIN);
  return state;
}

/// What a net computes in a pass: its loss, the data of all its blobs and its gradients.
struct Results {
  float loss = 0;
  std::map<std::string, Tensor> blobs, weights, gradients;
};

Tensor copy_of(const Tensor& tensor) {
  Tensor copy;
  copy.reshape(tensor.shape());
  set_values(copy, values(tensor));
  return copy;
}

Results run(Context& ctx) {
  Net net(ctx, parse_prototxt(kNet, "n"), train_state());
  std::vector<float> data(3 * 3 * 13 * 13);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<float>(i * 37 % 101) / 50 - 1;
  set_values(net.blob("data").data, data);
  set_values(net.blob("label").data, {0, 5, 2});
  Results results;
  results.loss = net.forward();
  net.clear_grads();
  net.backward();
  for (const std::string& name : net.blob_names())
    results.blobs[name] = copy_of(net.blob(name).data);
  for (const Parameter& p : net.parameters()) {
    results.weights[str(p.layer, " ", p.index)] = copy_of(p.blob->data);
    results.gradients[str(p.layer, " ", p.index)] = copy_of(p.blob->grad);
  }
  return results;
}

/// Expects that every tensor of a part is the part of the tensor of that name, within `tolerance`.
void expect_part(const std::map<std::string, Tensor>& whole, const ChannelPart& part,
                 const std::map<std::string, Tensor>& of_part, float tolerance) {
  for (const auto& [name, tensor] : of_part) {
    const auto found = whole.find(name);
    if (found == whole.end()) continue;
    SCOPED_TRACE(str(name, ", part ", part.index));
    Tensor expected;
    expected.reshape(tensor.shape());
    copy_part(found->second, part, expected);
    const std::vector<float> a = values(tensor), b = values(expected);
    float largest = 0;
    for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
    EXPECT_LE(largest, tolerance);
  }
}

class SplitNet : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, SplitNet, testing::ValuesIn(test_devices()), device_test_name);

std::unique_ptr<Context> context(Device device) {
  return device == Device::cpu ? std::make_unique<Context>(7)
                               : std::make_unique<Context>(open_accelerator(0), 7);
}

TEST_P(SplitNet, ComputesWhatTheWholeNetComputes) {
  for (const bool reference : {true, false}) {
    SCOPED_TRACE(reference ? "reference" : "fast engines");
    const auto whole_context = context(GetParam());
    whole_context->reference = reference;
    const Results whole = run(*whole_context);
    constexpr float kForward = 2e-6f;
    ThreadPeers peers(2);
    on_threads(2, [&](int p) {
      const auto ctx = context(GetParam());
      ctx->reference = reference;
      ctx->peers = &peers.part(p);
      const Results part = run(*ctx);
      EXPECT_NEAR(part.loss, whole.loss, kForward);
      expect_part(whole.weights, {p, 2}, part.weights, 0);
      expect_part(whole.blobs, {p, 2}, part.blobs, kForward);
      expect_part(whole.gradients, {p, 2}, part.gradients, 2e-6f);
      EXPECT_EQ(part.blobs.at("fc4").shape(), (Shape{3, 5}));
      EXPECT_EQ(part.weights.at("fc4 0").shape(), (Shape{32, 5}));
    });
  }
}

/// The paper's net with random images in place of a database, split as its authors did.
SourcedNet alexnet(Index images) {
  SourcedNet source =
      filter(read_prototxt("models/alexnet_paper/train_val.prototxt"), train_state());
  LayerParameter& data = *source.net.mutable_layer(0);
  data.set_type("DummyData");
  DummyDataParameter& dummy = *data.mutable_dummy_data_param();
  BlobShape& shape = *dummy.add_shape();
  for (const Index d : {images, Index{3}, Index{227}, Index{227}}) shape.add_dim(d);
  dummy.add_shape()->add_dim(images);
  dummy.add_data_filler()->set_type("gaussian");
  dummy.mutable_data_filler(0)->set_std(50);
  dummy.add_data_filler();
  source.net.mutable_model_parallel()->set_layer_from("conv1");
  source.net.mutable_model_parallel()->set_layer_to("fc8");
  return source;
}

/// With layers of this size, matrix products add in the same order for half of the outputs.
TEST(SplitAlexNet, ComputesTheSameBitsWithTheReferenceEngines) {
  Context whole_context(3);
  whole_context.reference = true;
  Net whole(whole_context, alexnet(2), train_state());
  const float loss = whole.forward();
  std::map<std::string, Tensor> expected;
  for (const std::string& name : whole.blob_names())
    expected[name] = copy_of(whole.blob(name).data);
  ThreadPeers peers(2);
  on_threads(2, [&](int p) {
    Context ctx(3);
    ctx.reference = true;
    ctx.peers = &peers.part(p);
    Net net(ctx, alexnet(2), train_state());
    EXPECT_EQ(net.forward(), loss);
    std::map<std::string, Tensor> blobs;
    for (const std::string& name : net.blob_names()) blobs[name] = copy_of(net.blob(name).data);
    expect_part(expected, {p, 2}, blobs, 0);
  });
}

/// Stands in for the other part: counts what is sent to it, and receives zeros.
class Counter final : public Peers {
 public:
  int part() const override { return 0; }
  int parts() const override { return 2; }
  void exchange(Context&, std::span<const std::span<const float>> to,
                std::span<const std::span<float>> from) override {
    sent += static_cast<Index>(to[1].size());
    std::fill(from[1].begin(), from[1].end(), 0.0f);
  }
  Index sent = 0;
};

TEST(SplitAlexNet, SendsLittleAndHoldsHalfOfTheWeights) {
  constexpr Index kImages = 2;
  Counter counter;
  Context ctx;
  ctx.peers = &counter;
  Net net(ctx, alexnet(kImages), train_state());
  net.forward();
  constexpr Index kPool2 = 128 * 13 * 13, kPool5 = 128 * 6 * 6, kFc = 2048, kScores = 500;
  EXPECT_EQ(counter.sent, kImages * (kPool2 + kPool5 + 2 * kFc + kScores));
  net.backward();
  EXPECT_EQ(counter.sent, kImages * (2 * (kPool2 + kPool5 + 2 * kFc) + kScores));
  EXPECT_EQ(counter.sent, kImages * 61172);

  Index held = 0;
  for (const Parameter& p : net.parameters()) {
    held += p.blob->count();
    EXPECT_EQ(p.parts, 2) << p.layer;
  }
  EXPECT_LE(static_cast<double>(held), 0.51 * 60965224);
}

}  // namespace
}  // namespace doppio
