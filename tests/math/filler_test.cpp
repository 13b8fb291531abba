#include "math/filler.hpp"

#include <google/protobuf/text_format.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "doppio.pb.h"
#include "math/tensor_part.hpp"
#include "support/layer_harness.hpp"

namespace doppio {
namespace {

std::vector<float> filled(const std::string& text, const Shape& shape, std::uint64_t seed = 1,
                          const std::string& layer = "conv1", int index = 0) {
  FillerParameter filler;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &filler));
  Tensor tensor;
  tensor.reshape(shape);
  fill(Context(seed), filler, layer, index, tensor);
  return values(tensor);
}

double mean(const std::vector<float>& v) {
  return std::accumulate(v.begin(), v.end(), 0.0) / static_cast<double>(v.size());
}

/// Mean of (x - m)^power.
double moment(const std::vector<float>& v, double m, int power) {
  double sum = 0;
  for (const float x : v) sum += std::pow(x - m, power);
  return sum / static_cast<double>(v.size());
}

float least(const std::vector<float>& v) { return *std::min_element(v.begin(), v.end()); }
float greatest(const std::vector<float>& v) { return *std::max_element(v.begin(), v.end()); }

TEST(Filler, ConstantIsZeroUnlessToldOtherwise) {
  EXPECT_EQ(filled("", {3}), (std::vector<float>{0, 0, 0}));
  EXPECT_EQ(filled("value: 2.5", {2}), (std::vector<float>{2.5f, 2.5f}));
  EXPECT_EQ(filled("value: 7", {}), std::vector<float>{7});
}

TEST(Filler, FillsAPartAsThatPartOfTheWhole) {
  for (const std::string text :
       {"type: 'uniform' min: -1 max: 3", "type: 'gaussian' std: 3", "type: 'xavier'",
        "type: 'gaussian' sparse: 2", "type: 'msra' variance_norm: AVERAGE", "value: 3",
        "type: 'positive_unitball'"})
    for (const Index axis : {0, 1}) {
      SCOPED_TRACE(text);
      FillerParameter filler;
      ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &filler));
      Context ctx(1);
      Tensor whole, part, expected;
      whole.reshape({6, 9, 5});
      fill(ctx, filler, "conv1", 0, whole);
      part.reshape(whole.shape().with(axis, whole.shape()[axis] / 3));
      expected.reshape(part.shape());
      for (ctx.part = {0, 3}; ctx.part.index < 3; ++ctx.part.index) {
        fill(ctx, filler, "conv1", 0, part, "weight_filler", axis);
        copy_part(whole, ctx.part, expected);
        EXPECT_EQ(values(part), values(expected)) << "part " << ctx.part.index;
      }
    }
}

TEST(Filler, UniformHasTheMomentsOfItsRange) {
  const auto v = filled("type: 'uniform' min: -1 max: 3", {100003});
  EXPECT_GE(least(v), -1);
  EXPECT_LT(greatest(v), 3);
  EXPECT_NEAR(mean(v), 1, 0.02);
  EXPECT_NEAR(moment(v, 1, 2), 16.0 / 12, 0.02);
}

TEST(Filler, GaussianHasTheMomentsOfANormalDistribution) {
  const auto v = filled("type: 'gaussian' mean: 2 std: 3", {1000003});
  EXPECT_NEAR(mean(v), 2, 0.02);
  EXPECT_NEAR(moment(v, 2, 2), 9, 0.06);
  EXPECT_NEAR(moment(v, 2, 3) / 27, 0, 0.02);
  EXPECT_NEAR(moment(v, 2, 4) / 81, 3, 0.05);
  // One value in 15787 lies beyond 4 standard deviations.
  const auto far = std::count_if(v.begin(), v.end(), [](float x) { return std::abs(x - 2) > 12; });
  EXPECT_NEAR(static_cast<double>(far), 63, 32);
}

TEST(Filler, GaussianNeighboursAreUncorrelated) {
  const auto v = filled("type: 'gaussian'", {100000});
  double product = 0;
  for (std::size_t i = 1; i < v.size(); ++i) product += v[i - 1] * v[i];
  EXPECT_NEAR(product / static_cast<double>(v.size()), 0, 0.015);
}

TEST(Filler, SparseKeepsTheGivenNumberOfNonZerosPerColumn) {
  const auto v = filled("type: 'gaussian' sparse: 5", {50, 2000});
  const auto kept = std::count_if(v.begin(), v.end(), [](float x) { return x != 0; });
  EXPECT_NEAR(static_cast<double>(kept), 5 * 2000, 300);
  EXPECT_NEAR(moment(v, 0, 2), 0.1, 0.01) << "keeping must not depend on the value";
}

TEST(Filler, PositiveUnitballItemsSumToOne) {
  const auto v = filled("type: 'positive_unitball'", {4, 2, 50});
  for (auto item = v.begin(); item != v.end(); item += 100)
    EXPECT_NEAR(std::accumulate(item, item + 100, 0.0), 1, 1e-5);
  EXPECT_GE(least(v), 0);
}

// The second convolution of AlexNet in its two groups: fan_in 48 * 5 * 5, fan_out 256 * 5 * 5.
TEST(Filler, XavierUsesTheFanInOfAGroupedConvolution) {
  const Shape shape{256, 48, 5, 5};
  const auto limit = [](double fan) { return std::sqrt(3 / fan); };
  const struct {
    const char* norm;
    double fan;
  } cases[] = {{"", 1200},
               {"variance_norm: FAN_IN", 1200},
               {"variance_norm: FAN_OUT", 6400},
               {"variance_norm: AVERAGE", 3800}};
  for (const auto& c : cases) {
    const auto v = filled(str("type: 'xavier' ", c.norm), shape);
    EXPECT_NEAR(greatest(v), limit(c.fan), 1e-4 * limit(c.fan)) << c.norm;
    EXPECT_NEAR(least(v), -limit(c.fan), 1e-4 * limit(c.fan)) << c.norm;
    EXPECT_NEAR(moment(v, 0, 2), 1 / c.fan, 0.01 / c.fan) << c.norm;
  }
}

TEST(Filler, MsraIsNormalWithVarianceTwoOverFan) {
  EXPECT_NEAR(moment(filled("type: 'msra'", {256, 48, 5, 5}), 0, 2), 2.0 / 1200, 2e-5);
  const auto bias = filled("type: 'msra' variance_norm: FAN_OUT", {10000});
  EXPECT_NEAR(moment(bias, 0, 2), 2.0 / 10000, 1e-5) << "one axis: fan_out is the count";
}

TEST(Filler, BilinearIsAnUpsamplingKernel) {
  // Size 4: f = 2, c = 3/4, weights 1 - |k/2 - 3/4|.
  const std::vector<float> w{0.25f, 0.75f, 0.75f, 0.25f};
  std::vector<float> expected;
  for (int channel = 0; channel < 2; ++channel)
    for (const float y : w)
      for (const float x : w) expected.push_back(x * y);
  EXPECT_EQ(filled("type: 'bilinear'", {1, 2, 4, 4}), expected);
  // Size 3: f = 2, c = 1/2.
  EXPECT_EQ(filled("type: 'bilinear'", {1, 1, 3, 3}),
            (std::vector<float>{0.25f, 0.5f, 0.25f, 0.5f, 1, 0.5f, 0.25f, 0.5f, 0.25f}));
}

TEST(Filler, DrawsDependOnSeedLayerAndIndexAlone) {
  const char* text = "type: 'gaussian'";
  const Shape shape{40001};
  const auto v = filled(text, shape);
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  EXPECT_EQ(filled(text, shape), v);
  omp_set_num_threads(3);
  EXPECT_EQ(filled(text, shape), v);
  omp_set_num_threads(threads);
  EXPECT_NE(filled(text, shape, 2), v);
  EXPECT_NE(filled(text, shape, 1, "conv2"), v);
  EXPECT_NE(filled(text, shape, 1, "conv1", 1), v);
}

TEST(Filler, DryRunChecksButWritesNothing) {
  Context ctx;
  ctx.dry_run = true;
  FillerParameter filler;
  Tensor tensor;
  tensor.reshape({1000});
  fill(ctx, filler, "conv1", 0, tensor);
  EXPECT_FALSE(tensor.allocated());
  filler.set_type("none");
  EXPECT_ERROR(fill(ctx, filler, "conv1", 0, tensor), "unknown filler type");
}

TEST(Filler, EmptyBlobsAreLeftAlone) { EXPECT_TRUE(filled("type: 'xavier'", {0, 3}).empty()); }

TEST(Filler, MistakesAreNamed) {
  const struct {
    const char* text;
    Shape shape;
    const char* message;
  } cases[] = {
      {"type: 'xaviar'", {2, 2}, "unknown filler type 'xaviar'; did you mean 'xavier'?"},
      {"type: 'uniform' sparse: 3", {2}, "filler 'uniform' cannot be sparse; only gaussian can"},
      {"type: 'gaussian' sparse: -2", {2}, "filler's sparse is -2"},
      {"type: 'gaussian' std: -1", {2}, "filler's std -1 is negative"},
      {"type: 'uniform' min: 2 max: 1", {2}, "filler's min 2 is above its max 1"},
      {"type: 'msra'", {}, "filler 'msra' cannot fill a scalar"},
      {"type: 'gaussian' sparse: 1", {}, "filler 'gaussian' cannot fill a scalar"},
      {"type: 'bilinear'", {1, 1, 3, 4}, "height equal to width, not 1 x 1 x 3 x 4"},
      {"type: 'bilinear'", {9}, "needs a blob of 4 axes"},
  };
  for (const auto& c : cases) EXPECT_ERROR(filled(c.text, c.shape), c.message) << c.text;
}

}  // namespace
}  // namespace doppio
