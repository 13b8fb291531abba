// An independent reader of Caffe's files must see in our snapshots what we see.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <opencv2/dnn.hpp>

#include "doppio.pb.h"
#include "doppio/net.hpp"
#include "doppio/solver.hpp"
#include "math/filler.hpp"
#include "net/passes/passes.hpp"
#include "solver/read_solver.hpp"
#include "support/layer_harness.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

/// Random weights that keep the activations' size from layer to layer, and biases that matter.
void randomize(Context& ctx, Net& net) {
  FillerParameter weights, biases;
  weights.set_type("msra");
  biases.set_type("uniform");
  biases.set_min(-0.1f);
  biases.set_max(0.1f);
  for (Parameter& p : net.parameters())
    fill(ctx, p.index == 0 ? weights : biases, p.layer, static_cast<int>(p.index), p.blob->data);
}

/// Largest difference between our probabilities and OpenCV's for the same random images.
void expect_same_probabilities(const std::string& deploy) {
  Context ctx(1);
  Net net(ctx, deploy, TEST);
  Blob& data = net.blob(net.inputs().at(0));
  const Index batch = 2;
  data.reshape(data.shape().with(0, batch));
  net.reshape();
  randomize(ctx, net);
  FillerParameter pixels;
  pixels.set_type("gaussian");
  fill(ctx, pixels, "pixels", 0, data.data);
  net.forward();

  const std::string model =
      std::filesystem::temp_directory_path() / ("doppio_interop_" + std::to_string(getpid()));
  net.save(model);
  cv::dnn::Net other = cv::dnn::readNetFromCaffe(deploy, model);
  std::filesystem::remove(model);
  std::vector<int> sizes(data.shape().dims().begin(), data.shape().dims().end());
  other.setInput(cv::Mat(sizes, CV_32F, data.data.update_host()));
  const cv::Mat theirs = other.forward("prob");

  const Blob& ours = net.blob("prob");
  ASSERT_EQ(static_cast<Index>(theirs.total()), ours.count());
  const float* p = ours.data.read_host();
  const auto* q = reinterpret_cast<const float*>(theirs.data);
  float spread = 0;
  for (Index i = 0; i < ours.count(); ++i) {
    EXPECT_NEAR(p[i], q[i], 1e-4) << "at " << i;
    spread = std::max(spread, std::abs(p[i] - 1.0f / static_cast<float>(ours.shape()[1])));
  }
  EXPECT_GT(spread, 0.001f) << "uniform probabilities would prove nothing";
}

/// Trains LeNet, split into two parts, on made-up data for a few iterations. Returns the weights.
std::string train_in_two_parts(const ScratchFolder& folder) {
  SourcedSolver solver;
  solver.param.set_base_lr(0.01f);
  solver.param.set_lr_policy("fixed");
  solver.param.set_random_seed(1);
  solver.param.set_max_iter(3);
  solver.param.set_snapshot_prefix(folder / "split");
  NetState train;
  train.set_phase(TRAIN);
  NetParameter& net = *solver.param.mutable_net_param();
  net = filter(read_prototxt("models/lenet/train_val.prototxt"), train).net;
  LayerParameter& data = *net.mutable_layer(0);
  data.set_type("DummyData");
  for (const std::vector<Index>& dims : {std::vector<Index>{4, 1, 28, 28}, {4}}) {
    BlobShape& shape = *data.mutable_dummy_data_param()->add_shape();
    for (const Index d : dims) shape.add_dim(d);
    data.mutable_dummy_data_param()->add_data_filler()->set_type("constant");
  }
  data.mutable_dummy_data_param()->mutable_data_filler(0)->set_type("gaussian");
  net.mutable_model_parallel()->set_layer_from("conv1");
  net.mutable_model_parallel()->set_layer_to("ip2");
  net.mutable_model_parallel()->set_model_parts(2);
  Context ctx;
  Context* const contexts[] = {&ctx};
  Solver run(contexts, std::move(solver), nullptr);
  EXPECT_EQ(run.net().parameters().at(0).parts, 2);
  run.solve();
  return folder / "split_iter_3.caffemodel";
}

TEST(OpenCvDnn, ReadsWeightsOfASplitNet) {
  const ScratchFolder folder;
  const std::string model = train_in_two_parts(folder), deploy = "models/lenet/deploy.prototxt";
  Context ctx(1);
  Net net(ctx, deploy, TEST);
  require_no_mismatch(net.copy_weights(model), model);
  Tensor& data = net.blob("data").data;
  FillerParameter pixels;
  pixels.set_type("gaussian");
  fill(ctx, pixels, "pixels", 0, data);
  net.forward();
  cv::dnn::Net other = cv::dnn::readNetFromCaffe(deploy, model);
  other.setInput(cv::Mat(std::vector<int>{64, 1, 28, 28}, CV_32F, data.update_host()));
  const cv::Mat theirs = other.forward("prob");
  const Tensor& ours = net.blob("prob").data;
  ASSERT_EQ(static_cast<Index>(theirs.total()), ours.count());
  const float* p = ours.read_host();
  const auto* q = reinterpret_cast<const float*>(theirs.data);
  for (Index i = 0; i < ours.count(); ++i) EXPECT_NEAR(p[i], q[i], 1e-4) << "at " << i;
  EXPECT_GT(*std::max_element(p, p + ours.count()), 0.2f) << "uniform probabilities prove nothing";
}

TEST(OpenCvDnn, ReadsAlexNet) { expect_same_probabilities("models/alexnet/deploy.prototxt"); }
TEST(OpenCvDnn, ReadsCaffeNet) { expect_same_probabilities("models/caffenet/deploy.prototxt"); }
TEST(OpenCvDnn, ReadsLeNet) { expect_same_probabilities("models/lenet/deploy.prototxt"); }
TEST(OpenCvDnn, ReadsGoogLeNet) { expect_same_probabilities("models/googlenet/deploy.prototxt"); }
TEST(OpenCvDnn, ReadsSqueezeNet) { expect_same_probabilities("models/squeezenet/deploy.prototxt"); }
TEST(OpenCvDnn, ReadsCifar10Quick) {
  expect_same_probabilities("models/cifar10_quick/deploy.prototxt");
}
TEST(OpenCvDnn, ReadsCifar10Full) {
  expect_same_probabilities("models/cifar10_full/deploy.prototxt");
}
TEST(OpenCvDnn, ReadsFashionAlexNet) {
  expect_same_probabilities("models/fashion_alexnet/deploy.prototxt");
}

}  // namespace
}  // namespace doppio
