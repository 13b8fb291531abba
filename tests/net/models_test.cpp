// The nets in models/ have the sizes that their authors published.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iomanip>
#include <set>
#include <sstream>

#include "doppio.pb.h"
#include "doppio/net.hpp"
#include "io/input_file.hpp"
#include "net/format/source_map.hpp"
#include "net/multiply_adds.hpp"
#include "net/passes/passes.hpp"
#include "solver/read_solver.hpp"
#include "solver/rules/lars.hpp"
#include "solver/rules/lr_policy.hpp"
#include "support/layer_harness.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

NetState state_of(Phase phase) {
  NetState s;
  s.set_phase(phase);
  return s;
}

/// Returns the net of train_val.prototxt `file` in `phase`, with `images` in place of a database.
SourcedNet without_database(const std::string& file, Phase phase, const Shape& images) {
  SourcedNet source = filter(read_prototxt(file), state_of(phase));
  LayerParameter& data = *source.net.mutable_layer(0);
  EXPECT_EQ(data.type(), "Data");
  data.set_type("DummyData");
  BlobShape* shape = data.mutable_dummy_data_param()->add_shape();
  for (const Index d : images.dims()) shape->add_dim(d);
  data.mutable_dummy_data_param()->add_shape()->add_dim(images[0]);
  return source;
}

struct Sizes {
  Index learned = 0, statistics = 0;
};

Sizes parameters_of(Net& net) {
  Sizes sizes;
  for (const Parameter& p : net.parameters())
    (net.layer(p.layer).traits.params_learn ? sizes.learned : sizes.statistics) += p.blob->count();
  return sizes;
}

struct Published {
  const char* folder;
  Index learned, learned_in_training, statistics;
  Shape data, prob;
};

std::ostream& operator<<(std::ostream& out, const Published& p) { return out << p.folder; }

class Models : public testing::TestWithParam<Published> {
 protected:
  std::string file(const char* name) const { return str("models/", GetParam().folder, '/', name); }
};

TEST_P(Models, DeployNetHasThePublishedSizes) {
  Context ctx;
  ctx.dry_run = true;
  Net net(ctx, file("deploy.prototxt"), TEST);
  const Sizes sizes = parameters_of(net);
  EXPECT_EQ(sizes.learned, GetParam().learned);
  EXPECT_EQ(sizes.statistics, GetParam().statistics);
  EXPECT_EQ(net.blob("data").shape().text(), GetParam().data.text());
  EXPECT_EQ(net.blob("prob").shape().text(), GetParam().prob.text());
}

TEST_P(Models, TrainNetHasTheSameLayersAndALoss) {
  for (const Phase phase : {TRAIN, TEST}) {
    Context ctx;
    ctx.dry_run = true;
    Net net(ctx, without_database(file("train_val.prototxt"), phase, GetParam().data.with(0, 2)),
            state_of(phase));
    const Sizes sizes = parameters_of(net);
    EXPECT_EQ(sizes.learned, GetParam().learned_in_training);
    EXPECT_EQ(sizes.statistics, GetParam().statistics);
    int losses = 0;
    for (const std::string& name : net.outputs()) losses += net.loss_weight(name) > 0;
    EXPECT_EQ(losses, std::string(GetParam().folder) == "googlenet" ? 3 : 1);
  }
}

TEST_P(Models, SolverTrainsThisNet) {
  const SourcedSolver solver = read_solver(file("solver.prototxt"));
  EXPECT_EQ(solver.param.net(), file("train_val.prototxt"));
  EXPECT_GT(solver.param.max_iter(), 0);
  EXPECT_TRUE(std::filesystem::exists(file("README.md")));
}

INSTANTIATE_TEST_SUITE_P(
    , Models,
    testing::Values(
        Published{"alexnet", 60965224, 60965224, 0, {10, 3, 227, 227}, {10, 1000}},
        Published{"alexnet_paper", 60965224, 60965224, 0, {10, 3, 227, 227}, {10, 1000}},
        Published{"caffenet", 60965224, 60965224, 0, {10, 3, 227, 227}, {10, 1000}},
        Published{"cifar10_alexnet", 2332362, 2332362, 2 * 1536 + 6, {10, 3, 28, 28}, {10, 10}},
        Published{"cifar10_quick", 145578, 145578, 0, {1, 3, 32, 32}, {1, 10}},
        Published{"googlenet", 6998552, 13378280, 0, {10, 3, 224, 224}, {10, 1000}},
        Published{"lenet", 431080, 431080, 0, {64, 1, 28, 28}, {64, 10}},
        Published{
            "mobilenet_v1", 4231976, 4231976, 2 * 10944 + 27, {10, 3, 224, 224}, {10, 1000, 1, 1}},
        Published{"resnet50", 25557096, 25557096, 2 * 26560 + 53, {10, 3, 224, 224}, {10, 1000}},
        Published{"squeezenet", 1235496, 1235496, 0, {10, 3, 227, 227}, {10, 1000, 1, 1}},
        Published{"vgg16", 138357544, 138357544, 0, {10, 3, 224, 224}, {10, 1000}}),
    [](const auto& net) { return std::string(net.param.folder); });

/// Returns "60,965,224".
std::string with_commas(Index count) {
  std::string text = std::to_string(count);
  for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
  return text;
}

class ModelPages : public testing::TestWithParam<const char*> {};

TEST_P(ModelPages, StateTheSizesOfTheNet) {
  const std::string folder = str("models/", GetParam(), '/');
  const std::string page = read_text_file(folder + "README.md");
  Context ctx;
  ctx.dry_run = true;
  Net net(ctx, folder + "deploy.prototxt", TEST);
  const Shape data = net.blob("data").shape(), prob = net.blob("prob").shape();
  double products = 0;
  for (const NetLayer& layer : net.layers()) products += multiply_adds(layer);
  std::ostringstream millions;
  millions << std::fixed << std::setprecision(1) << products / static_cast<double>(data[0]) / 1e6
           << " million";
  for (const std::string& row :
       {str("| classes | ", prob[1], " |\n"),
        str("| input | ", data[1], " x ", data[2], " x ", data[3], " |\n"),
        "| parameters | " + with_commas(parameters_of(net).learned) + " |\n",
        "| multiply-adds | " + millions.str() + " |\n"})
    EXPECT_TRUE(contains(page, row)) << row << page.substr(0, 900);
  for (const char* row : {"| memory | ", "| accuracy | "}) EXPECT_TRUE(contains(page, row)) << row;
}

INSTANTIATE_TEST_SUITE_P(, ModelPages,
                         testing::Values("alexnet", "alexnet_paper", "caffenet", "cifar10_alexnet",
                                         "cifar10_full", "cifar10_quick", "fashion_alexnet",
                                         "googlenet", "lenet", "mobilenet_v1", "resnet50",
                                         "squeezenet", "vgg16"),
                         [](const auto& net) { return std::string(net.param); });

TEST(AlexNet, TrainsOnBatchesOf8192FromTheAuthorsScheduleOfLars) {
  const SolverParameter p = read_solver("models/alexnet/solver_8k.prototxt").param;
  const SourcedNet train = filter(read_prototxt(p.net()), state_of(TRAIN));
  EXPECT_EQ(p.iter_size() * static_cast<int>(train.net.layer(0).data_param().batch_size()), 8192);
  EXPECT_NEAR(p.max_iter() * 8192.0 / 1281167, 100, 0.5);  // epochs
  EXPECT_EQ(p.test_iter(0) * 50, 50000);
  const auto lars = lars_of(p);
  ASSERT_TRUE(lars);
  EXPECT_FLOAT_EQ(static_cast<float>(lars->ratio), 0.001f);
  EXPECT_FLOAT_EQ(static_cast<float>(lars->decay), 0.0005f);
  const LearningRatePolicy policy(p);
  EXPECT_EQ(policy.rate(0), 1);
  EXPECT_NEAR(policy.rate(600), 10 * std::pow(1 - 600.0 / 15600, 2), 1e-5);
  EXPECT_NEAR(policy.rate(7800), 2.5, 1e-5);
}

constexpr char kPaperNet[] = "models/alexnet_paper/train_val.prototxt";

void expect_filled(const FillerParameter& weights, const FillerParameter& biases, bool ones) {
  EXPECT_EQ(weights.type(), "gaussian");
  EXPECT_EQ(weights.mean(), 0);
  EXPECT_EQ(weights.std(), 0.01f);
  EXPECT_EQ(biases.type(), "constant");
  EXPECT_EQ(biases.value(), ones ? 1 : 0);
}

TEST(AlexNetPaper, StartsAndNormalizesAsThePaperDoes) {
  const std::set<std::string> ones = {"conv2", "conv4", "conv5", "fc6", "fc7"};
  int learned = 0, normalizations = 0;
  const SourcedNet source = read_prototxt(kPaperNet);
  for (const LayerParameter& l : source.net.layer()) {
    SCOPED_TRACE(l.name());
    EXPECT_EQ(l.param_size(), 0);  // biases learn and decay like weights
    const ConvolutionParameter& conv = l.convolution_param();
    const InnerProductParameter& fc = l.inner_product_param();
    const bool is_conv = l.type() == "Convolution", is_fc = l.type() == "InnerProduct";
    if (is_conv) expect_filled(conv.weight_filler(), conv.bias_filler(), ones.contains(l.name()));
    if (is_fc) expect_filled(fc.weight_filler(), fc.bias_filler(), ones.contains(l.name()));
    learned += is_conv || is_fc;
    if (l.type() != "LRN") continue;
    ++normalizations;
    EXPECT_EQ(l.lrn_param().local_size(), 5u);
    EXPECT_EQ(l.lrn_param().k(), 2);
    EXPECT_EQ(l.lrn_param().alpha(), 0.0005f);  // 5 times the paper's 0.0001
    EXPECT_EQ(l.lrn_param().beta(), 0.75f);
    EXPECT_EQ(l.lrn_param().group(), 2u);  // each GPU of the paper normalizes its own channels
  }
  EXPECT_EQ(learned, 8);
  EXPECT_EQ(normalizations, 2);
}

TEST(AlexNetPaper, ShiftsTheColoursOfTrainingBatchesOf128) {
  const SourcedNet train = filter(read_prototxt(kPaperNet), state_of(TRAIN));
  const LayerParameter& data = train.net.layer(0);
  EXPECT_EQ(data.data_param().batch_size(), 128u);
  EXPECT_TRUE(data.transform_param().mirror());
  EXPECT_EQ(data.transform_param().crop_size(), 227u);
  EXPECT_EQ(data.transform_param().pca_file(), "data/ilsvrc12/imagenet_pca.binaryproto");
  EXPECT_EQ(data.transform_param().pca_std(), 0.1f);
  const SourcedNet test = filter(read_prototxt(kPaperNet), state_of(TEST));
  EXPECT_FALSE(test.net.layer(0).transform_param().has_pca_file());
}

TEST(AlexNetPaper, DropsTheRateThreeTimesByATenthOnAPlateau) {
  const SolverParameter p = read_solver("models/alexnet_paper/solver.prototxt").param;
  EXPECT_EQ(LearningRatePolicy(p).name(), "plateau");
  EXPECT_EQ(LearningRatePolicy(p).rate(0), 0.01f);
  EXPECT_EQ(p.gamma(), 0.1f);
  EXPECT_EQ(p.plateau_max_drops(), 3);
  EXPECT_EQ(p.plateau_patience(), 5);
  EXPECT_EQ(p.plateau_min_improvement(), 0.001f);
  EXPECT_EQ(p.momentum(), 0.9f);
  EXPECT_EQ(p.weight_decay(), 0.0005f);
  Context ctx;
  ctx.dry_run = true;
  Net net(ctx, without_database(kPaperNet, TEST, {2, 3, 227, 227}), state_of(TEST));
  EXPECT_EQ(std::count(net.outputs().begin(), net.outputs().end(), p.plateau_metric()), 1);
}

}  // namespace
}  // namespace doppio
