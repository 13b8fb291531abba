// Commands that run a net with hand-made inputs: test, time, classify and plan.
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <regex>

#include "data/image/image_file.hpp"
#include "doppio.pb.h"
#include "doppio/net.hpp"
#include "io/input_file.hpp"
#include "support/layer_harness.hpp"
#include "support/scratch_folder.hpp"
#include "tools/run_command.hpp"

namespace doppio {
namespace {

constexpr const char* kDeploy = R"(name: "three classes"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 4 dim: 3 dim: 2 dim: 2 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 3 } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
)";

constexpr const char* kTest = R"(
layer { name: "in" type: "Input" top: "data" top: "label"
        input_param { shape { dim: 5 dim: 12 } shape { dim: 5 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 3 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss"
        loss_weight: 2 }
)";

class NetCommands : public testing::Test {
 protected:
  NetCommands() {
    Context ctx;
    Net net(ctx, deploy, TEST);
    // The scores of classes 0, 1 and 2 depend on blue, green and red.
    std::vector<float> weights(36, 0);
    for (std::size_t i = 0; i < 12; ++i) weights[i / 4 * 12 + i] = 0.01f;
    set_values(net.layer("ip").layer->params[0].data, weights);
    set_values(net.layer("ip").layer->params[1].data, {0.5f, 0, 0});
    net.save(model);
    cv::imwrite(red, cv::Mat(4, 4, CV_8UC3, cv::Scalar(0, 0, 100)));
  }

  std::vector<std::string> classify(const std::vector<std::string>& more) const {
    std::vector<std::string> arguments = {"classify", "--model=" + deploy, "--weights=" + model};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  ScratchFolder folder;
  std::string deploy = folder.write("deploy.prototxt", kDeploy);
  std::string model = folder / "weights.caffemodel", red = folder / "red.png";
};

TEST_F(NetCommands, ClassifyPrintsTheBestClasses) {
  const Outcome r = run_doppio(classify({red}));
  EXPECT_EQ(r.exit_code, 0) << r.err;
  // Scores 0.5, 0 and 4 * 100 * 0.01 = 4.
  EXPECT_EQ(r.out, "---------- Prediction for " + red +
                       " ----------\n0.9537 - \"2\"\n0.0288 - \"0\"\n0.0175 - \"1\"\n");
}

TEST_F(NetCommands, ClassifyNamesClassesAndSubtractsMeans) {
  const std::string labels =
      folder.write("labels.txt", "\xEF\xBB\xBFsky\r\ngrass\r\nfire engine\r\n\r\n");
  const Outcome r =
      run_doppio(classify({"--labels=" + labels, "--mean_value=0,0,100", "--scale=2", red, red}));
  EXPECT_EQ(r.exit_code, 0) << r.err;
  const std::string one = "---------- Prediction for " + red +
                          " ----------\n0.4519 - \"sky\"\n0.2741 - \"grass\"\n0.2741 - \"fire "
                          "engine\"\n";
  EXPECT_EQ(r.out, one + one);
}

TEST_F(NetCommands, ClassifyReportsABadImageAndClassifiesTheOthers) {
  const std::string empty = folder.write("empty.jpg", "");
  const std::string one = run_doppio(classify({red})).out;
  const Outcome r = run_doppio(classify({red, empty, "gone.png", red}));
  EXPECT_EQ(r.exit_code, 1);
  EXPECT_EQ(r.out, one + one);
  EXPECT_TRUE(contains(r.err, "\n" + empty + ": error: ")) << r.err;
  EXPECT_TRUE(contains(r.err, "\ngone.png: error: ")) << r.err;
  EXPECT_TRUE(r.err.ends_with("doppio: error: 2 of 4 images could not be classified\n")) << r.err;
}

TEST_F(NetCommands, ClassifyExplainsWhatDoesNotFit) {
  const auto error = [&](const std::vector<std::string>& more) {
    const Outcome r = run_doppio(classify(more));
    EXPECT_EQ(r.exit_code, 1);
    return r.err;
  };
  const std::string labels = folder.write("labels.txt", "sky\n");
  EXPECT_TRUE(
      contains(error({"--labels=" + labels, red}), labels + ": has 1 lines and the net 3 classes"));
  EXPECT_TRUE(contains(error({"gone.png"}), "gone.png"));
  EXPECT_TRUE(contains(error({"--labels=gone", red}), "cannot read gone: No such file"));
  EXPECT_EQ(run_doppio(classify({"--mean_value=1,x", red})).exit_code, 2);
  const std::string two = folder.write("two.prototxt", kTest);
  EXPECT_TRUE(contains(error({"--model=" + two, red}), "expected one Input layer with one top"));
}

TEST_F(NetCommands, TestPrintsCaffesLinesAndASummary) {
  const std::string net = folder.write("test.prototxt", kTest);
  const Outcome r =
      run_doppio({"test", "--model=" + net, "--weights", model, "--iterations=2", "--quiet=false"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  // All data is 0, so the scores equal the biases, and all labels are 0.
  for (const char* line :
       {"] Running for 2 iterations.\n", "] Batch 0, loss = 0.794", "] Batch 1, loss = 0.794",
        "] Loss: 1.588", "] loss = 0.794", " (* 2 = 1.588"})
    EXPECT_TRUE(contains(r.err, line)) << line << r.err;
  EXPECT_EQ(r.out, "top-1 error 0.00 % (accuracy 100.00 %) of 10 labels\n");
}

TEST_F(NetCommands, TestRefusesWeightsThatDoNotFitOrMatchNothing) {
  const Outcome r =
      run_doppio({"test", "--model=" + deploy, "--weights=" + model, "--set", "ip.num_output=4"});
  EXPECT_EQ(r.exit_code, 1);
  EXPECT_TRUE(contains(r.err, "layer 'ip': file: 3 x 12, 3; net: 4 x 12, 4")) << r.err;
  EXPECT_TRUE(contains(r.err, "give it another name in the prototxt")) << r.err;
  const Outcome none =
      run_doppio({"test", "--model=" + deploy, "--weights=" + model, "--set", "ip.name=other"});
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_TRUE(contains(none.err, "weights for no layer of the net")) << none.err;
}

TEST_F(NetCommands, TestRefusesATruncatedCaffemodel) {
  const std::string whole = read_file(model);
  const std::string cut = folder.write("cut.caffemodel", whole.substr(0, whole.size() / 2));
  const Outcome r = run_doppio({"test", "--model=" + deploy, "--weights=" + cut, "--quiet"});
  EXPECT_EQ(r.exit_code, 1);
  EXPECT_TRUE(r.err.starts_with("doppio: error: " + cut + " is damaged: ")) << r.err;
}

TEST_F(NetCommands, TimeReportsEveryLayer) {
  const Outcome r = run_doppio({"time", "--model=" + deploy, "-iterations", "2", "--phase=TEST",
                                "--set", "data.shape={dim: 1 dim: 12}"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_EQ(r.out, "");
  for (const char* line :
       {R"(\] \*\*\* Benchmark begins \*\*\*)", R"(\] Testing for 2 iterations\.)",
        R"(\] Iteration: 2 forward-backward time: \S+ ms\.)", R"(\] Average time per layer: )",
        R"(\]         ip\tforward: \S+ ms\. \(\S+ GFLOP/s\))", R"(\]       prob\tbackward: 0 ms\.)",
        R"(\] Average Forward pass: \S+ ms\.)", R"(\] Average Backward pass: \S+ ms\.)",
        R"(\] Average Forward-Backward: \S+ ms\.)",
        R"(\] Median Forward-Backward: \S+ ms, 95th percentile: \S+ ms\.)",
        R"(\] Total Time: \S+ ms\.)", R"(\] \*\*\* Benchmark ends \*\*\*)"})
    EXPECT_TRUE(std::regex_search(r.err, std::regex(line))) << line << r.err;
}

/// Returns the MiB that the plan prints after `name`.
double mebibytes(const std::string& text, const std::string& name) {
  std::smatch found;
  EXPECT_TRUE(std::regex_search(text, found, std::regex(name + " +([0-9.]+)"))) << name << text;
  return found.empty() ? 0 : std::stod(found[1]);
}

constexpr const char* kLarge = R"(
layer { name: "data" type: "DummyData" top: "x" top: "y" dummy_data_param {
  shape { dim: 2048 dim: 512 } shape { dim: 2048 } data_filler { type: "uniform" } data_filler { } } }
layer { name: "a" type: "InnerProduct" bottom: "x" top: "a"
  inner_product_param { num_output: 4096 weight_filler { type: "xavier" } } }
layer { name: "b" type: "Sigmoid" bottom: "a" top: "b" }
layer { name: "c" type: "TanH" bottom: "b" top: "c" }
layer { name: "d" type: "ReLU" bottom: "c" top: "d" }
layer { name: "e" type: "InnerProduct" bottom: "d" top: "e" inner_product_param { num_output: 8 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "e" bottom: "y" top: "loss" }
)";

TEST_F(NetCommands, PlanPredictsWhatTrainingTakes) {
  const std::string net = folder.write("large.prototxt", kLarge);
  const std::string solver =
      "--solver=" +
      folder.write("solver.prototxt", str("net: '", net, "' base_lr: 0.01 lr_policy: 'fixed' ",
                                          "max_iter: 2 momentum: 0.9 snapshot_after_train: false"));
  const Outcome plan = run_doppio({"plan", solver});
  const Outcome train = run_doppio({"train", solver});
  ASSERT_EQ(plan.exit_code, 0) << plan.err;
  ASSERT_EQ(train.exit_code, 0) << train.err;
  const double predicted = mebibytes(plan.out, "peak");
  // Four blobs of 32 MiB and their gradients share memory.
  EXPECT_LT(predicted - mebibytes(plan.out, "the program itself"), 200) << plan.out;
  EXPECT_NEAR(mebibytes(train.err, "peak memory"), predicted, 0.05 * predicted) << plan.out;
}

/// Returns a net with layers for one phase only.
std::string net_of(const std::string& phase) {
  return "layer { name: 'd' type: 'Input' top: 'x' include { phase: " + phase +
         " } input_param { shape { dim: 2 dim: 3 } } }\n"
         "layer { name: 's' type: 'Softmax' bottom: 'x' top: 'p' }\n";
}

TEST_F(NetCommands, PlanAndTimeTakeNetsOfOnePhase) {
  for (const std::string phase : {"TRAIN", "TEST"}) {
    const std::string net = folder.write("net.prototxt", net_of(phase));
    const std::string other = phase == "TRAIN" ? "TEST" : "TRAIN";
    const std::string lacks =
        str(net, ":2:35: error: layer 's' (Softmax): unknown bottom 'x'; layer 'd' (", net,
            ":1:1), which makes it, is not in the net for phase ", other, "\n");
    const Outcome plan = run_doppio({"plan", "--model=" + net});
    EXPECT_EQ(plan.exit_code, 0) << plan.err;
    EXPECT_TRUE(plan.out.starts_with(str(phase, " net, ", net))) << plan.out;
    EXPECT_FALSE(contains(plan.out, other)) << plan.out;
    EXPECT_TRUE(contains(plan.err, str("] There is no ", other, " net: ", lacks))) << plan.err;
    const Outcome time = run_doppio({"time", "--model=" + net, "--iterations=1"});
    EXPECT_EQ(time.exit_code, 0) << time.err;
    EXPECT_EQ(contains(time.err, "so the TEST net is timed: "), phase == "TEST") << time.err;
    for (const char* command : {"plan", "time"}) {
      EXPECT_EQ(run_doppio({command, "--model=" + net, "--phase=" + phase}).exit_code, 0);
      const Outcome r = run_doppio({command, "--model=" + net, "--phase=" + other, "--quiet"});
      EXPECT_EQ(r.exit_code, 1);
      EXPECT_EQ(r.err, lacks);
    }
  }
}

TEST_F(NetCommands, PlanRefusesANetWithoutLayers) {
  const std::string net = folder.write("net.prototxt", "name: 'x'");
  const Outcome r = run_doppio({"plan", "--model=" + net});
  EXPECT_EQ(r.exit_code, 1);
  EXPECT_EQ(r.err, net + ": error: no layer is left in the net for any phase\n");
}

TEST_F(NetCommands, PlanSumsUpWithoutAllocating) {
  const Outcome r = run_doppio(
      {"plan", "--model=" + deploy, "--set", "data.shape={dim: 1000000 dim: 1024 dim: 16 dim: 4}"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_TRUE(contains(r.out, "TRAIN net, " + deploy)) << r.out;
  EXPECT_TRUE(contains(r.out, "1000000 x 1024 x 16 x 4    250000.00")) << r.out;
  for (const char* line :
       {R"(\nTEST net +MiB\n)", R"(\nparameters +0\.75\n)", R"(\nblobs, taking turns +11\.44\n)",
        R"(\ndata and outputs +2500\d\d\.\d\d\n)", R"(\npeak +250\d\d\d\.\d\d\n)"})
    EXPECT_TRUE(std::regex_search(r.out, std::regex(line))) << line << r.out;
}

}  // namespace
}  // namespace doppio
