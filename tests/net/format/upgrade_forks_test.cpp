#include <cstring>
#include <fstream>

#include "net/format/blob_io.hpp"
#include "net/format/wire.hpp"
#include "net/passes/passes.hpp"
#include "support/layer_harness.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

LayerParameter upgraded_layer(const std::string& text) {
  return parse_prototxt("layer { name: 'l' " + text + " }", "n").net.layer(0);
}

std::string refusal(const std::string& text) {
  return error_of([&] { parse_prototxt("layer { name: 'l' type: 'T'\n" + text + " }", "n"); });
}

TEST(UpgradeForks, HoleIsDilation) {
  const auto both =
      upgraded_layer("type: 'Convolution' convolution_param { hole: 2 }").convolution_param();
  EXPECT_EQ(both.dilation(0), 2u);
  EXPECT_EQ(both.dilation_size() + both.hole_size(), 1);
  const auto apart = upgraded_layer("type: 'Convolution' convolution_param { hole_h: 2 hole_w: 3 }")
                         .convolution_param();
  ASSERT_EQ(apart.dilation_size(), 2);
  EXPECT_EQ(apart.dilation(0), 2u);
  EXPECT_EQ(apart.dilation(1), 3u);
  EXPECT_FALSE(apart.has_hole_h() || apart.has_hole_w());
  EXPECT_EQ(
      refusal("convolution_param { hole: 2 dilation: 2 }"),
      "n:2:21: error: layer 'l' (T): hole is DeepLab's name of dilation; give only one of the "
      "two");
  EXPECT_TRUE(contains(refusal("convolution_param { hole_h: 2 }"),
                       "give either hole or both hole_h and hole_w"));
}

TEST(UpgradeForks, CeilModeIsRoundMode) {
  const auto mode = [](const std::string& value) {
    const auto p = upgraded_layer("type: 'Pooling' pooling_param { ceil_mode: " + value + " }");
    EXPECT_FALSE(p.pooling_param().has_ceil_mode());
    return p.pooling_param().round_mode();
  };
  EXPECT_EQ(mode("false"), PoolingParameter::FLOOR);
  EXPECT_EQ(mode("true"), PoolingParameter::CEIL);
  EXPECT_EQ(refusal("pooling_param { ceil_mode: true round_mode: CEIL }"),
            "n:2:17: error: layer 'l' (T): ceil_mode is another name of round_mode; give only one "
            "of the two");
}

TEST(UpgradeForks, StoredStatisticsOfBnNeverLearn) {
  const LayerParameter bn =
      upgraded_layer("type: 'BN' param { lr_mult: 2 } bn_param { momentum: 0.9 }");
  ASSERT_EQ(bn.param_size(), 4);
  EXPECT_EQ(bn.param(0).lr_mult(), 2);
  EXPECT_EQ(bn.param(1).lr_mult(), 1);
  EXPECT_EQ(bn.param(2).lr_mult() + bn.param(3).lr_mult() + bn.param(3).decay_mult(), 0);
  EXPECT_EQ(upgraded_layer("type: 'BN' bn_param { bn_mode: LEARN }").param_size(), 0);
}

TEST(UpgradeForks, FrozenBnLearnsNothing) {
  const LayerParameter bn =
      upgraded_layer("type: 'BN' param { lr_mult: 2 } bn_param { frozen: true }");
  ASSERT_EQ(bn.param_size(), 4);
  for (const ParamSpec& p : bn.param()) EXPECT_EQ(p.lr_mult() + p.decay_mult(), 0);
}

TEST(UpgradeForks, BnBlobsHaveTheirAxesInPlace) {
  const LayerParameter bn = upgraded_layer(
      "type: 'BN' blobs { shape { dim: 1 dim: 3 } data: [1, 2, 3] } blobs { shape { dim: 3 } }"
      "blobs { num: 3 channels: 1 height: 1 width: 1 } blobs { shape { dim: 2 dim: 3 } }");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(stored_shape(bn.blobs(i)), (Shape{1, 3, 1, 1})) << i;
  EXPECT_EQ(bn.blobs(0).data_size(), 3);
  EXPECT_EQ(stored_shape(bn.blobs(3)), (Shape{2, 3}));
  const LayerParameter other =
      upgraded_layer("type: 'Scale' blobs { shape { dim: 1 dim: 3 } data: [1, 2, 3] }");
  EXPECT_EQ(stored_shape(other.blobs(0)), (Shape{1, 3}));
}

TEST(UpgradeForks, BatchNormWithScaleBecomesTwoLayers) {
  const NetParameter net = parse_prototxt(R"(
    layer { name: 'bn' type: 'BatchNorm' bottom: 'x' top: 'y' include { phase: TRAIN }
            param { lr_mult: 1 } param {} param {} param { lr_mult: 3 } param { lr_mult: 4 }
            batch_norm_param { eps: 0.1 scale_filler { value: 2 } bias_filler { value: 3 } } }
    layer { name: 'z' type: 'BatchNorm' bottom: 'y' top: 'z' batch_norm_param { scale_bias: true } }
    layer { name: 'plain' type: 'BatchNorm' bottom: 'z' top: 'w' })",
                                          "n")
                               .net;
  ASSERT_EQ(net.layer_size(), 5);
  EXPECT_EQ(net.layer(0).param_size(), 3);
  EXPECT_EQ(net.layer(0).param(0).lr_mult(), 0);
  EXPECT_EQ(net.layer(0).batch_norm_param().ShortDebugString(), "eps: 0.1");
  const LayerParameter& scale = net.layer(1);
  EXPECT_EQ(
      scale.ShortDebugString(),
      "name: \"bn_scale\" type: \"Scale\" bottom: \"y\" top: \"y\" param { lr_mult: 3 } param "
      "{ lr_mult: 4 } include { phase: TRAIN } scale_param { filler { value: 2 } bias_term: "
      "true bias_filler { value: 3 } }");
  EXPECT_EQ(net.layer(3).name(), "z_scale");
  EXPECT_EQ(net.layer(4).name(), "plain");
}

// ---- Weights ----

constexpr const char* kNet = R"(
  layer { name: 'x' type: 'Input' top: 'x' input_param { shape { dim: 1 dim: 2 } } }
  layer { name: 'bn' type: 'BatchNorm' bottom: 'x' top: 'y' batch_norm_param { scale_bias: true } })";

void add_floats(BlobProto& blob, const std::vector<float>& values) {
  blob.mutable_shape()->add_dim(static_cast<Index>(values.size()));
  for (const float v : values) blob.add_data(v);
}

/// Returns statistics, scale and bias of kNet after loading `weights`.
std::vector<std::vector<float>> load(const NetParameter& weights) {
  const ScratchFolder folder;
  const std::string file = folder.write("w.caffemodel", weights.SerializeAsString());
  Context ctx(1);
  Net net(ctx, folder.write("n.prototxt", kNet), TEST);
  net.copy_weights(file);
  std::vector<std::vector<float>> all;
  for (const char* layer : {"bn", "bn_scale"})
    for (const Blob& p : net.layer(layer).layer->params) all.push_back(values(p.data));
  return all;
}

TEST(ForksWeights, BatchNormOfFiveBlobsInBothOrders) {
  const std::vector<std::vector<float>> expected = {{1, 2}, {3, 4}, {1}, {5, 6}, {7, 8}};
  const auto layer = [](const std::vector<std::vector<float>>& blobs) {
    NetParameter net;
    net.add_layer()->set_name("bn");
    net.mutable_layer(0)->set_type("BatchNorm");
    for (const auto& blob : blobs) add_floats(*net.mutable_layer(0)->add_blobs(), blob);
    return net;
  };
  EXPECT_EQ(load(layer(expected)), expected);
  EXPECT_EQ(load(layer({{5, 6}, {7, 8}, {1, 2}, {3, 4}, {1}})), expected);
}

TEST(ForksWeights, BnOfTsn) {
  NetParameter weights;
  weights.add_layer()->set_name("bn");
  weights.mutable_layer(0)->set_type("BN");
  for (int i = 0; i < 4; ++i) {
    BlobProto& blob = *weights.mutable_layer(0)->add_blobs();
    blob.mutable_shape()->add_dim(1);
    add_floats(blob, {static_cast<float>(i), 8});
  }
  const ScratchFolder folder;
  Context ctx(1);
  Net net(ctx, folder.write("n.prototxt", R"(
    layer { name: 'x' type: 'Input' top: 'x' input_param { shape { dim: 1 dim: 2 } } }
    layer { name: 'bn' type: 'BN' bottom: 'x' top: 'y' })"),
          TEST);
  const auto copied = net.copy_weights(folder.write("w.caffemodel", weights.SerializeAsString()));
  require_no_mismatch(copied, "w.caffemodel");
  for (std::size_t i = 0; i < 4; ++i)
    expect_values(net.layer("bn").layer->params[i].data, {static_cast<float>(i), 8});
}

TEST(ForksWeights, RawDataOfEveryKind) {
  const std::vector<float> floats = {1.5f, -2};
  const std::vector<double> doubles = {1.5, -2};
  const std::vector<std::uint16_t> halves = {0x3e00, 0xc000};
  const auto raw = [](const auto& numbers, BlobProto::Type type) {
    NetParameter net;
    net.add_layer()->set_name("bn");
    net.mutable_layer(0)->set_type("BatchNorm");
    for (int i = 0; i < 3; ++i) {
      BlobProto& blob = *net.mutable_layer(0)->add_blobs();
      const std::size_t n = i < 2 ? 2 : 1;
      blob.mutable_shape()->add_dim(static_cast<Index>(n));
      blob.set_raw_data_type(type);
      blob.set_raw_data(numbers.data(), n * sizeof numbers[0]);
    }
    return net;
  };
  for (const auto& loaded :
       {load(raw(floats, BlobProto::FLOAT)), load(raw(doubles, BlobProto::DOUBLE)),
        load(raw(halves, BlobProto::FLOAT16))}) {
    EXPECT_EQ(loaded[0], floats);
    EXPECT_EQ(loaded[2], (std::vector<float>{1.5f}));
  }
}

/// Fields whose numbers have other meanings in a fork: an engine as text in 149, a SmoothL1Loss
/// parameter in 148 (here Clip's, which has required fields), text in place of a message.
TEST(ForksWeights, OtherFieldsOfForksDoNotMatter) {
  NetParameter net;
  LayerParameter& bn = *net.add_layer();
  bn.set_name("bn");
  bn.set_type("BatchNorm");
  for (const std::vector<float>& blob : {std::vector<float>{1, 2}, {3, 4}, {1}})
    add_floats(*bn.add_blobs(), blob);
  auto& unknown = *bn.GetReflection()->MutableUnknownFields(&bn);
  for (const int number : {104, 106, 148, 149, 150, 160})
    unknown.AddLengthDelimited(number, "MKLDNN:CPU\xff");
  auto& of_net = *net.GetReflection()->MutableUnknownFields(&net);
  for (const int number : {6, 9, 101}) of_net.AddLengthDelimited(number, "\xff\xff\xff");
  EXPECT_EQ(load(net)[1], (std::vector<float>{3, 4}));
}

}  // namespace
}  // namespace doppio
