#include "doppio/net.hpp"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/cpu.hpp"
#include "data/storage/hdf5.hpp"
#include "net/multiply_adds.hpp"
#include "net/passes/memory_plan.hpp"
#include "net/passes/passes.hpp"
#include "net/weights/weights_io.hpp"
#include "support/layer_harness.hpp"

namespace doppio {
namespace {

NetState train() {
  NetState s;
  s.set_phase(TRAIN);
  return s;
}

std::unique_ptr<Net> make_net(Context& ctx, const std::string& text) {
  return std::make_unique<Net>(ctx, parse_prototxt(text, "net.prototxt"), train());
}

/// A file name in a temporary folder.
class NetFiles : public testing::Test {
 protected:
  NetFiles()
      : folder_(std::filesystem::temp_directory_path() /
                ("doppio_net_" + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~NetFiles() override { std::filesystem::remove_all(folder_); }
  std::string file(const std::string& name) const { return folder_ / name; }

 private:
  std::filesystem::path folder_;
};

const std::string kInput =
    "layer { name: 'in' type: 'Input' top: 'x' input_param { shape { dim: 1 dim: 2 } } }\n";

std::string inner_product(const std::string& name, const std::string& bottom, int outputs,
                          const std::string& more = "") {
  return str("layer { name: '", name, "' type: 'InnerProduct' bottom: '", bottom, "' top: '", name,
             "' ", more, " inner_product_param { num_output: ", outputs,
             " weight_filler { type: 'constant' value: 1 } } }\n");
}

TEST(Net, CountsMultiplyAdds) {
  Context ctx;
  ctx.dry_run = true;
  const auto net =
      make_net(ctx,
               "layer { name: 'in' type: 'Input' top: 'x' input_param { shape { dim: 5 dim: 4 dim: "
               "6 dim: 6 } } }"
               "layer { name: 'conv' type: 'Convolution' bottom: 'x' top: 'y'"
               " convolution_param { num_output: 8 kernel_size: 3 group: 2 } }"
               "layer { name: 'relu' type: 'ReLU' bottom: 'y' top: 'y' }" +
                   inner_product("ip", "y", 10, "param { lr_mult: 0 }") +
                   "layer { name: 'loss' type: 'Reduction' bottom: 'ip' top: 'l' loss_weight: 1 }");
  // Maps of 4 x 4, where each value sums 2 channels of 3 x 3. The input needs no gradient.
  const double convolution = 5 * 8 * 16 * 18, inner = 5 * 10 * 128;
  EXPECT_EQ(multiply_adds(net->layer("conv")), convolution);
  EXPECT_EQ(backward_multiply_adds(net->layer("conv")), convolution);
  EXPECT_EQ(multiply_adds(net->layer("relu")), 0);
  EXPECT_EQ(multiply_adds(net->layer("ip")), inner);
  EXPECT_EQ(backward_multiply_adds(net->layer("ip")), inner);  // gradient of the bottom only
}

TEST(Net, ForwardsBackwardsAndSumsTheLoss) {
  Context ctx;
  const auto net = make_net(ctx, kInput + inner_product("ip", "x", 2, "loss_weight: 3"));
  set_values(net->blob("x").data, {1, 2});
  EXPECT_FLOAT_EQ(net->forward(), 3 * (3 + 3));
  net->clear_grads();
  net->backward();
  expect_values(net->layer("ip").layer->params[0].grad, {3, 6, 3, 6});
  net->backward();  // parameter gradients accumulate
  expect_values(net->layer("ip").layer->params[1].grad, {6, 6});
  EXPECT_EQ(net->passes(), 1u);
  EXPECT_EQ(net->loss_weight("ip"), 3);
}

TEST(Net, SharesParametersByNameAndAddsTheirGradients) {
  Context ctx;
  const auto net = make_net(
      ctx,
      kInput + inner_product("a", "x", 2, "param { name: 'w' lr_mult: 5 } param { name: 'b' }") +
          inner_product("b", "a", 2, "param { name: 'w' } param { name: 'b' } loss_weight: 1"));
  ASSERT_EQ(net->parameters().size(), 2u);
  EXPECT_EQ(net->parameters()[0].lr_mult, 5);
  set_values(net->blob("x").data, {1, 2});
  net->forward();
  net->backward();
  // b: dw = dy a^T with a = (3, 3); a: da = (2, 2), dw = da x^T.
  expect_values(net->parameters()[0].blob->grad, {3 + 2, 3 + 4, 3 + 2, 3 + 4});
  expect_values(net->layer("b").layer->params[0].grad, {5, 7, 5, 7});
}

/// An update overlaps the backward pass, so it must not wait for layers computed later.
TEST(Net, GradientsAreCompletedInGroupsFromTheLastLayerOn) {
  Context ctx;
  const SourcedNet source = parse_prototxt(R"(
    layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 600 } } }
    layer { name: "small" type: "InnerProduct" bottom: "data" top: "small"
            inner_product_param { num_output: 10 } }
    layer { name: "scale" type: "Scale" bottom: "small" top: "scale" }
    layer { name: "wide" type: "InnerProduct" bottom: "scale" top: "wide"
            inner_product_param { num_output: 60000 } }
    layer { name: "many" type: "InnerProduct" bottom: "data" top: "many" param { name: "shared" }
            inner_product_param { num_output: 500 } }
    layer { name: "again" type: "InnerProduct" bottom: "data" top: "again" param { name: "shared" }
            inner_product_param { num_output: 500 } })",
                                           "net");
  Net net(ctx, source, NetState());
  std::vector<std::string> groups;
  for (const std::vector<std::size_t>& group : net.gradient_groups()) {
    std::string& names = groups.emplace_back();
    for (const std::size_t p : group)
      names += str(net.parameters()[p].layer, net.parameters()[p].index, " ");
  }
  EXPECT_EQ(groups, (std::vector<std::string>{"again1 many0 many1 ", "wide0 wide1 ",
                                              "scale0 small0 small1 "}))
      << "a shared parameter is its first owner's, and few parameters wait for more";
}

TEST(Net, EachSharerDecidesWhetherItComputesTheGradient) {
  Context ctx;
  const std::string frozen = "param { name: 'w' lr_mult: 0 } param { lr_mult: 0 }";
  const auto net = make_net(ctx, kInput + inner_product("a", "x", 2, frozen) +
                                     inner_product("b", "a", 2,
                                                   "param { name: 'w' } param { lr_mult: 0 } "
                                                   "loss_weight: 1"));
  EXPECT_EQ(net->parameters()[0].lr_mult, 0);
  set_values(net->blob("x").data, {1, 2});
  net->forward();
  net->backward();
  // As above, but without the term that a would add.
  expect_values(net->parameters()[0].blob->grad, {3, 3, 3, 3});
}

TEST(Net, TheStagesOfItsFileCountToo) {
  Context ctx;
  const std::string text = "state { stage: 'deploy' }\n" + kInput +
                           "layer { name: 'r' type: 'ReLU' bottom: 'x' top: 'r' "
                           "include { stage: 'deploy' } }";
  EXPECT_EQ(make_net(ctx, text)->layer("r").name, "r");
}

TEST(Net, TwoLayersWithParametersNeedTwoNames) {
  Context ctx;
  EXPECT_ERROR(make_net(ctx, kInput + inner_product("a", "x", 2, "") +
                                 "\nlayer { name: 'a' type: 'InnerProduct' bottom: 'a' top: 'b' "
                                 "inner_product_param { num_output: 2 } }"),
               "an earlier layer of this phase has the same name and parameters too");
}

TEST(Net, SharingErrorsNameTheLine) {
  Context ctx;
  const std::string owner = kInput + inner_product("a", "x", 2, "param { name: 'w' lr_mult: 1 }");
  EXPECT_ERROR(make_net(ctx, owner + inner_product("b", "a", 3, "param { name: 'w' }")),
               "cannot share parameter 'w': it is 3 x 2 here and 2 x 2 in layer 'a'");
  const std::string clash = error_of(
      [&] { make_net(ctx, owner + inner_product("b", "a", 2, "param { name: 'w' lr_mult: 2 }")); });
  EXPECT_NE(clash.find("has lr_mult 2 here and 1 where it was first named"), std::string::npos);
  EXPECT_TRUE(clash.starts_with("net.prototxt:3:")) << clash;
  EXPECT_ERROR(make_net(ctx, kInput + inner_product("a", "x", 2, "param { } param { } param { }")),
               "has 2 parameters, but `param` is given 3 times");
}

TEST(Net, ShapeErrorsNameLayerLineAndBottoms) {
  Context ctx;
  const std::string message = error_of([&] {
    make_net(ctx,
             "layer { name: 'in' type: 'Input' top: 'x' input_param { shape { dim: 1 dim: 2 dim: 3 "
             "dim: 3 } } }\n"
             "layer { name: 'c' type: 'Convolution' bottom: 'x' top: 'c'\n"
             "  convolution_param { num_output: 1\n kernel_size: 5 } }");
  });
  EXPECT_TRUE(message.starts_with("net.prototxt:4:2: error: layer 'c' (Convolution): ")) << message;
  EXPECT_NE(message.find("\n    bottom 'x': 1 x 2 x 3 x 3"), std::string::npos) << message;
}

TEST(Net, ParametersWithoutLearningRateGetNoGradient) {
  Context ctx;
  const auto net = make_net(
      ctx, kInput + inner_product("a", "x", 2, "param { lr_mult: 0 } param { lr_mult: 0 }") +
               inner_product("b", "a", 2, "loss_weight: 1"));
  EXPECT_FALSE(net->layer("a").needs_backward);
  EXPECT_FALSE(net->layer("a").layer->params[0].needs_grad);
  EXPECT_EQ(net->parameters().size(), 4u);  // a solver's history counts them all
}

TEST_F(NetFiles, WeightsSurviveBothFormats) {
  Context ctx;
  const std::string text = kInput + inner_product("a", "x", 2);
  for (const std::string name : {"w.caffemodel", "w.caffemodel.h5"}) {
    if (name.ends_with(".h5") && !built_with_hdf5()) continue;
    const auto out = make_net(ctx, text), in = make_net(ctx, text);
    set_values(out->layer("a").layer->params[0].data, {1, -2, 3, 4.5f});
    out->save(file(name));
    const auto copied = in->copy_weights(file(name));
    ASSERT_EQ(copied.size(), 1u) << name;
    EXPECT_EQ(copied[0].outcome, CopiedLayer::Outcome::loaded);
    expect_values(in->layer("a").layer->params[0].data, {1, -2, 3, 4.5f}, 0);
  }
}

TEST_F(NetFiles, CopyingTellsLoadedFreshSkippedAndMismatched) {
  Context ctx;
  const auto source =
      make_net(ctx, kInput + inner_product("same", "x", 2) + inner_product("other", "same", 2) +
                        inner_product("gone", "other", 2));
  source->save(file("w.caffemodel"));
  const auto net =
      make_net(ctx, kInput + inner_product("same", "x", 2) + inner_product("other", "same", 3) +
                        inner_product("new", "other", 2));
  const auto copied = net->copy_weights(file("w.caffemodel"));
  std::string outcomes;
  for (const CopiedLayer& c : copied)
    outcomes += str(c.name, ":", static_cast<int>(c.outcome), " ");
  EXPECT_EQ(outcomes, "same:0 other:3 gone:2 new:1 ");
  EXPECT_EQ(error_of([&] { require_no_mismatch(copied, "w"); }),
            "w: weights do not fit the net; to train such a layer anew, give it another name in "
            "the prototxt, otherwise "
            "make the shapes equal\n    layer 'other': file: 2 x 2, 2; net: 3 x 2, 3");
}

TEST_F(NetFiles, OldShapesFitAndLyingSizesDoNot) {
  Context ctx;
  const auto net = make_net(ctx, kInput + inner_product("a", "x", 2));
  NetParameter stored;
  LayerParameter& layer = *stored.add_layer();
  layer.set_name("a");
  for (const int n : {2, 1}) {  // weights 1x1x2x2, bias 1x1x1x2
    BlobProto& b = *layer.add_blobs();
    b.set_num(1);
    b.set_channels(1);
    b.set_height(n);
    b.set_width(2);
    for (int i = 0; i < 2 * n; ++i) b.add_data(static_cast<float>(i));
  }
  write_message(file("old"), stored);
  EXPECT_EQ(net->copy_weights(file("old"))[0].outcome, CopiedLayer::Outcome::loaded);
  expect_values(net->layer("a").layer->params[0].data, {0, 1, 2, 3});
  layer.mutable_blobs(0)->add_data(9);
  write_message(file("lie"), stored);
  EXPECT_ERROR(net->copy_weights(file("lie")),
               "layer 'a', blob 0 holds 5 values where 4 are needed (2 x 2)");
}

TEST_F(NetFiles, Hdf5KeepsLayersApartThatAreNamedAfterOneAnother) {
  if (!built_with_hdf5()) GTEST_SKIP() << "this build has no HDF5";
  Context ctx;
  const std::string text =
      kInput + inner_product("conv1", "x", 2) + inner_product("conv1/bn", "conv1", 2);
  make_net(ctx, text)->save(file("w.h5"));
  for (const CopiedLayer& copied : make_net(ctx, text)->copy_weights(file("w.h5")))
    EXPECT_EQ(copied.outcome, CopiedLayer::Outcome::loaded) << copied.name;
}

TEST_F(NetFiles, Hdf5OfEqualWeightsIsEqual) {
  if (!built_with_hdf5()) GTEST_SKIP() << "this build has no HDF5";
  Context ctx;
  const auto net = make_net(ctx, kInput + inner_product("a", "x", 2));
  const std::string first = net->save(file("a.h5"));
  sleep(1);  // the format may store times in seconds
  EXPECT_EQ(net->save(file("b.h5")), first);
}

TEST_F(NetFiles, WeightsThatCannotBeNameTheFileAndTheLayer) {
  Context ctx;
  const auto net = make_net(ctx, kInput + inner_product("a", "x", 2));
  NetParameter stored;
  stored.add_layer()->set_name("a");
  stored.mutable_layer(0)->add_blobs()->mutable_shape()->add_dim(-1);
  write_message(file("w"), stored);
  const std::string error = error_of([&] { net->copy_weights(file("w")); });
  EXPECT_EQ(error.find(file("w") + ": error: layer 'a': "), 0u) << error;
}

TEST_F(NetFiles, ATruncatedModelIsNamed) {
  Context ctx;
  const auto net = make_net(ctx, kInput + inner_product("a", "x", 2));
  net->save(file("w.caffemodel"));
  std::filesystem::resize_file(file("w.caffemodel"),
                               std::filesystem::file_size(file("w.caffemodel")) - 3);
  EXPECT_ERROR(net->copy_weights(file("w.caffemodel")),
               "w.caffemodel is damaged: its contents differ from its checksum");
  EXPECT_ERROR(net->copy_weights(file("none")), "No such file");
}

TEST(Net, BlobsInThePrototxtReplaceFillers) {
  Context ctx;
  const auto with = [&](const std::string& blobs) {
    return make_net(ctx, kInput + inner_product("a", "x", 1, blobs));
  };
  const auto net =
      with("blobs { shape { dim: 1 dim: 2 } data: [7, 8] } blobs { shape { dim: 1 } data: 9 }");
  expect_values(net->layer("a").layer->params[0].data, {7, 8});
  EXPECT_ERROR(with("blobs { shape { dim: 1 dim: 2 } data: [7, 8] }"),
               "its blobs (1 x 2) do not fit its parameters (1 x 2, 1)");
}

TEST(Net, WrongNamesGetTheNearest) {
  Context ctx;
  const auto net = make_net(ctx, kInput + inner_product("conv1", "x", 1));
  EXPECT_ERROR(net->blob("conv2"), "has no blob 'conv2'; did you mean 'conv1'?");
  EXPECT_ERROR(net->layer("con1"), "did you mean 'conv1'?");
}

TEST(Net, PointsAtTheFieldOfAMessageOfTheLayer) {
  const std::string input =
      "layer { name: 'd' type: 'Input' top: 'x' input_param { shape { dim: 2 dim: 3 } } }\n";
  const std::pair<const char*, const char*> cases[] = {
      {"layer { name: 'c' type: 'Concat' bottom: 'x' top: 'c'\n concat_param { axis: 5 } }",
       "net.prototxt:3:17: error: layer 'c' (Concat): axis 5 is out of range for shape 2 x 3"},
      {"layer { name: 'i' type: 'InnerProduct' bottom: 'x' top: 'i'\n inner_product_param {\n"
       "num_output: 1 weight_filler { type: 'xavier' }\nbias_filler { type: 'constnat' } } }",
       "net.prototxt:5:15: error: layer 'i' (InnerProduct): unknown filler type 'constnat'; did "
       "you "
       "mean 'constant'?"},
      {"layer { name: 'b' type: 'Bias' bottom: 'x' top: 'b'\n bias_param { num_axes: 4 } }",
       "net.prototxt:3:15: error: layer 'b' (Bias): num_axes 4 from axis 1 on reaches beyond"},
      {"layer { name: 'b' type: 'DummyData' top: 'b'\n dummy_data_param { } }",
       "net.prototxt:3:2: error: layer 'b' (DummyData): shape is missing"},
  };
  for (const auto& [text, message] : cases) {
    Context ctx;
    const std::string error = error_of([&, t = text] { make_net(ctx, input + t); });
    EXPECT_TRUE(error.starts_with(message)) << error;
  }
}

TEST(Net, NoLayerLeftIsAnError) {
  Context ctx;
  EXPECT_EQ(
      error_of([&] { make_net(ctx, "layer { name: 'a' type: 'ReLU' include { phase: TEST } }"); }),
      "net.prototxt: error: no layer is left for phase TRAIN");
}

TEST(MemoryPlan, CountsBytesWithoutAllocating) {
  Context ctx;
  ctx.dry_run = true;
  const auto net = make_net(ctx, kInput + inner_product("a", "x", 3) +
                                     "layer { name: 'r' type: 'ReLU' bottom: 'a' top: 'a' }" +
                                     inner_product("b", "a", 2, "loss_weight: 1"));
  const MemoryPlan plan = plan_memory(*net, Passes::forward_and_backward);
  EXPECT_EQ(plan.total.activations, 4 * (2 + 3 + 2));
  EXPECT_EQ(plan.total.parameters, 4 * (6 + 3 + 6 + 2));
  EXPECT_EQ(plan.total.parameter_gradients, plan.total.parameters);
  EXPECT_EQ(plan.total.gradients, 4 * 3);    // of a; no layer below it learns
  EXPECT_EQ(plan.shared, 2 * 64);            // data and gradient of a, a cache line each
  EXPECT_EQ(plan.lasting, 4 * (2 + 2 + 2));  // x, b and the gradient of b
  EXPECT_EQ(plan_memory(*net, Passes::forward).shared, 64);
  for (const NetLayer& l : net->layers())
    for (const Blob* top : l.tops) EXPECT_FALSE(top->data.allocated()) << l.name;
}

}  // namespace
}  // namespace doppio
