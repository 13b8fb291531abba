// The nets in models/ have the sizes that their authors published.
#include <filesystem>

#include "doppio.pb.h"
#include "doppio/net.hpp"
#include "net/passes.hpp"
#include "net/source_map.hpp"
#include "solver/read_solver.hpp"
#include "support/layer_harness.hpp"

namespace doppio {
namespace {

NetState state_of(Phase phase) {
  NetState s;
  s.set_phase(phase);
  return s;
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
    SourcedNet source = filter(read_prototxt(file("train_val.prototxt")), state_of(phase));
    LayerParameter& data = *source.net.mutable_layer(0);
    ASSERT_EQ(data.type(), "Data");
    data.set_type("DummyData");  // of the same shape, since there is no database
    BlobShape* images = data.mutable_dummy_data_param()->add_shape();
    BlobShape* labels = data.mutable_dummy_data_param()->add_shape();
    const Shape two = GetParam().data.with(0, 2);
    for (const Index d : two.dims()) images->add_dim(d);
    labels->add_dim(2);
    Context ctx;
    ctx.dry_run = true;
    Net net(ctx, std::move(source), state_of(phase));
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
        Published{"cifar10_alexnet", 594602, 594602, 0, {10, 3, 28, 28}, {10, 10}},
        Published{"cifar10_quick", 145578, 145578, 0, {1, 3, 32, 32}, {1, 10}},
        Published{"googlenet", 6998552, 13378280, 0, {10, 3, 224, 224}, {10, 1000}},
        Published{"lenet", 431080, 431080, 0, {64, 1, 28, 28}, {64, 10}},
        Published{
            "mobilenet_v1", 4231976, 4231976, 2 * 10944 + 27, {10, 3, 224, 224}, {10, 1000, 1, 1}},
        Published{"resnet50", 25557096, 25557096, 2 * 26560 + 53, {10, 3, 224, 224}, {10, 1000}},
        Published{"squeezenet", 1235496, 1235496, 0, {10, 3, 227, 227}, {10, 1000, 1, 1}},
        Published{"vgg16", 138357544, 138357544, 0, {10, 3, 224, 224}, {10, 1000}}),
    [](const auto& net) { return std::string(net.param.folder); });

}  // namespace
}  // namespace doppio
