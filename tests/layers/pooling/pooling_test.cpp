#include <algorithm>
#include <array>
#include <cmath>

#include "layers/pooling/engine.hpp"
#include "math/philox.hpp"
#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class PoolingTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, PoolingTest, testing::ValuesIn(test_devices()), device_test_name);

std::string pooling(const std::string& param) {
  return "type: 'Pooling' pooling_param { " + param + " }";
}

TEST_P(PoolingTest, MaxRoutesGradientToFirstMaximumAndRoundsOutputSizeUp) {
  LayerHarness h(pooling("kernel_size: 2 stride: 2"), {{1, 1, 3, 3}},
                 {.tops = 2, .device = GetParam()});
  h.bottom_data(0, {1, 5, 2,  //
                    5, 4, 3,  //
                    7, 8, 9});
  h.forward();
  EXPECT_EQ(h.top(0).shape(), Shape({1, 1, 2, 2}));
  expect_values(h.top(0).data, {5, 3, 8, 9});
  expect_values(h.top(1).data, {1, 5, 7, 8});
  h.top_grad(0, {1, 2, 3, 4});
  h.backward();
  expect_values(h.bottom(0).grad, {0, 1, 0,  //
                                   0, 0, 2,  //
                                   0, 3, 4});
}

TEST_P(PoolingTest, RoundModeFloorRoundsOutputSizeDown) {
  LayerHarness h(pooling("kernel_size: 2 stride: 2 round_mode: FLOOR"), {{1, 1, 3, 3}},
                 {.device = GetParam()});
  h.bottom_data(0, {1, 5, 2, 5, 4, 3, 7, 8, 9});
  h.forward();
  expect_values(h.top(0).data, {5});
  h.top_grad(0, {2});
  h.backward();
  expect_values(h.bottom(0).grad, {0, 2, 0, 0, 0, 0, 0, 0, 0});
}

TEST_P(PoolingTest, MaxSumsGradientsOfOverlappingWindows) {
  LayerHarness h(pooling("kernel_size: 2"), {{1, 2, 2, 3}}, {.device = GetParam()});
  h.bottom_data(0, {0, 9, 1, 0, 0, 0, -4, -5, -6, -3, -7, -8});
  h.forward();
  expect_values(h.top(0).data, {9, 9, -3, -5});
  h.top_grad(0, {1, 10, 100, 1000});
  h.backward();
  expect_values(h.bottom(0).grad, {0, 11, 0, 0, 0, 0, 0, 1000, 0, 100, 0, 0});
}

TEST_P(PoolingTest, DropsWindowsThatBeginInThePadding) {
  LayerHarness h(pooling("pool: AVE kernel_size: 2 stride: 2 pad: 1"), {{1, 1, 3, 3}},
                 {.device = GetParam()});
  h.bottom_data(0, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  h.forward();
  expect_values(h.top(0).data, {0.25f, 1.25f, 2.75f, 7});
}

TEST_P(PoolingTest, AverageDividesByWindowSizeWithinPadding) {
  LayerHarness h(pooling("pool: AVE kernel_h: 1 kernel_w: 3 stride_h: 1 stride_w: 2 pad_h: 0 "
                         "pad_w: 1"),
                 {{1, 1, 1, 4}}, {.device = GetParam()});
  h.bottom_data(0, {1, 2, 3, 4});
  h.forward();
  expect_values(h.top(0).data, {1, 3, 2});
  h.top_grad(0, {3, 6, 8});
  h.backward();
  expect_values(h.bottom(0).grad, {1, 3, 2, 6});
}

TEST_P(PoolingTest, AverageBackwardCoversRowsOfAnyLength) {
  const Index width = 200;
  LayerHarness h(pooling("pool: AVE kernel_h: 1 kernel_w: 3 pad_h: 0 pad_w: 1"), {{1, 1, 2, width}},
                 {.device = GetParam()});
  h.top_grad(0, std::vector<float>(2 * width, 3));
  h.backward();
  std::vector<float> expected(2 * width, 3);
  for (const Index edge : {Index{0}, width - 1, width, 2 * width - 1})
    expected[static_cast<std::size_t>(edge)] = 2;
  expect_values(h.bottom(0).grad, expected);
}

TEST_P(PoolingTest, GlobalPoolingCoversTheWholeMap) {
  LayerHarness h(pooling("pool: AVE global_pooling: true"), {{1, 2, 2, 2}}, {.device = GetParam()});
  h.bottom_data(0, {1, 2, 3, 4, 5, 6, 7, 8});
  h.forward();
  EXPECT_EQ(h.top(0).shape(), Shape({1, 2, 1, 1}));
  expect_values(h.top(0).data, {2.5f, 6.5f});
  h.bottom(0).reshape({1, 1, 1, 3});
  h.reshape();
  h.bottom_data(0, {1, 2, 6});
  h.forward();
  expect_values(h.top(0).data, {3});
}

TEST_P(PoolingTest, MaxBackwardOfWindowsOfMoreThan256Values) {
  for (const Index channels : {Index{1}, channel_block()}) {
    LayerHarness h(pooling("global_pooling: true"), {{1, channels, 17, 16}},
                   {.tops = 2, .device = GetParam()});
    std::vector<float> x(static_cast<std::size_t>(272 * channels)), dx = x;
    for (Index c = 0; c < channels; ++c) x[static_cast<std::size_t>(272 * c + 270)] = 5;
    h.bottom_data(0, x);
    if (channels > 1) h.bottom(0).data.update(Context(), Layout::nchw_blocked);
    h.forward();
    expect_values(h.top(0).data, std::vector<float>(static_cast<std::size_t>(channels), 5));
    expect_values(h.top(1).data, std::vector<float>(static_cast<std::size_t>(channels), 270));
    h.top_grad(0, std::vector<float>(static_cast<std::size_t>(channels), 3));
    h.backward();
    for (Index c = 0; c < channels; ++c) dx[static_cast<std::size_t>(272 * c + 270)] = 3;
    expect_values(h.bottom(0).grad, dx);
  }
}

/// MAX by windows of K x K pixels next to each other; what is left of the map belongs to none.
PoolingGeometry tiles(Index channels, Index height, Index width, Index K) {
  return {.channels = channels,
          .rows = {.size = height, .windows = height / K, .kernel = K, .stride = K},
          .cols = {.size = width, .windows = width / K, .kernel = K, .stride = K}};
}

TEST(PoolingTiles, MatchGeneralLoopsWithManyEqualValues) {
  Context ctx;
  const Random random{3, 4, 5};
  for (const Index K : {2, 3})
    for (const auto& [channels, height, width] :
         std::initializer_list<std::array<Index, 3>>{{5, 8, 8}, {3, 25, 23}, {1, 131, 67}}) {
      const PoolingGeometry g = tiles(channels, height, width, K);
      ASSERT_EQ(why_not_tiled_pooling(g), "");
      const auto generic = make_generic_pooling(g), tiled = make_tiled_pooling(g);
      const auto pixels = static_cast<std::size_t>(g.map_values());
      const auto outputs = static_cast<std::size_t>(g.pooled_values());
      std::vector<float> x(pixels), dy(outputs), y(outputs), tiled_y(outputs), dx(pixels, 9);
      std::vector<float> tiled_dx(pixels, 7);
      std::vector<std::uint8_t> argmax(outputs), tiled_argmax(outputs);
      for (std::size_t i = 0; i < pixels; ++i)
        x[i] = std::floor(4 * random.uniform(static_cast<Index>(i)));
      for (std::size_t i = 0; i < outputs; ++i) dy[i] = static_cast<float>(i + 1);
      generic->forward_maps(ctx, 1, x.data(), y.data(), argmax.data());
      tiled->forward_maps(ctx, 1, x.data(), tiled_y.data(), tiled_argmax.data());
      EXPECT_EQ(tiled_y, y);
      EXPECT_EQ(tiled_argmax, argmax);
      generic->backward_maps(ctx, 1, dy.data(), argmax.data(), dx.data());
      tiled->backward_maps(ctx, 1, dy.data(), argmax.data(), tiled_dx.data());
      EXPECT_EQ(tiled_dx, dx);
    }
}

TEST(PoolingTiles, RequireWindowsThatTileTheMap) {
  const PoolingGeometry good = tiles(1, 6, 6, 2);
  PoolingGeometry padded = good, overlapping = good, beyond = good, tall = good, average = good;
  padded.cols.pad = 1;
  overlapping.rows.stride = 1;
  beyond.cols.windows = 4;
  tall.rows = {.size = 8, .windows = 2, .kernel = 4, .stride = 4};
  average.method = PoolingMethod::average;
  EXPECT_EQ(why_not_tiled_pooling(good), "");
  for (const PoolingGeometry& bad : {padded, overlapping, beyond, tall, average})
    EXPECT_NE(why_not_tiled_pooling(bad), "");
}

TEST_P(PoolingTest, StochasticComputesExpectationInTestPhase) {
  LayerHarness h("phase: TEST " + pooling("pool: STOCHASTIC kernel_size: 2 stride: 2"),
                 {{1, 1, 2, 4}}, {.device = GetParam()});
  h.bottom_data(0, {1, 2, 0, 0, 3, 4, 0, 0});
  h.forward();
  expect_values(h.top(0).data, {3, 0});
  EXPECT_ERROR(h.backward(), "gradient in phase TRAIN only");
}

TEST_P(PoolingTest, StochasticSamplesInProportionToValuesEachPass) {
  const Index n = 4000;
  LayerHarness h(pooling("pool: STOCHASTIC kernel_h: 1 kernel_w: 3 stride_h: 1 stride_w: 3"),
                 {{n, 1, 1, 3}}, {.device = GetParam()});
  std::vector<float> x;
  for (Index i = 0; i < n; ++i) x.insert(x.end(), {1, 0, 3});
  h.bottom_data(0, x);
  h.ctx().pass = 7;
  h.forward();
  const std::vector<float> first = values(h.top(0).data);
  EXPECT_NEAR(std::count(first.begin(), first.end(), 3.0f), 0.75 * n, 120);
  EXPECT_EQ(std::count(first.begin(), first.end(), 0.0f), 0);

  h.top_grad(0, std::vector<float>(n, 2));
  h.backward();
  const std::vector<float> dx = values(h.bottom(0).grad);
  for (std::size_t i = 0; i < n; ++i) {
    ASSERT_EQ(dx[3 * i], first[i] == 1 ? 2 : 0);
    ASSERT_EQ(dx[3 * i + 2], first[i] == 3 ? 2 : 0);
  }

  h.ctx().pass = 8;
  h.forward();
  EXPECT_NE(values(h.top(0).data), first);
  h.ctx().pass = 7;
  h.forward();
  EXPECT_EQ(values(h.top(0).data), first);
}

TEST_P(PoolingTest, ShardsSampleWhatTheWholeBatchWould) {
  const std::string layer =
      pooling("pool: STOCHASTIC kernel_h: 1 kernel_w: 2 stride_h: 1 stride_w: 2");
  LayerHarness all(layer, {{6, 1, 5, 2}}, {.device = GetParam()});
  std::vector<float> x;
  for (int i = 0; i < 30; ++i) x.insert(x.end(), {1, 2});
  all.bottom_data(0, x);
  all.forward();
  const std::vector<float> whole = values(all.top(0).data);
  x.resize(x.size() / 2);
  for (int shard = 0; shard < 2; ++shard) {
    LayerHarness h(layer, {{3, 1, 5, 2}}, {.device = GetParam()});
    h.ctx().shard = {shard, 2};
    h.bottom_data(0, x);
    h.forward();
    const std::vector<float> part = values(h.top(0).data);
    for (std::size_t i = 0; i < part.size(); ++i)
      ASSERT_EQ(part[i], whole[(2 * (i / 5) + static_cast<std::size_t>(shard)) * 5 + i % 5])
          << shard << " " << i;
  }
}

TEST_P(PoolingTest, ClipsKernelsLargerThanTheInput) {
  LayerHarness max(pooling("kernel_size: 3 stride: 2"), {{1, 1, 2, 2}}, {.device = GetParam()});
  max.bottom_data(0, {1, 2, 3, 4});
  max.forward();
  EXPECT_EQ(max.top(0).shape(), Shape({1, 1, 1, 1}));
  expect_values(max.top(0).data, {4});
  max.top_grad(0, {5});
  max.backward();
  expect_values(max.bottom(0).grad, {0, 0, 0, 5});

  LayerHarness mean(pooling("pool: AVE kernel_size: 3 stride: 2"), {{1, 1, 2, 2}},
                    {.device = GetParam()});
  mean.bottom_data(0, {1, 2, 3, 4});
  mean.forward();
  expect_values(mean.top(0).data, {2.5f});
}

TEST(PoolingErrors, NameTheFieldAndTheSizes) {
  const struct {
    const char* param;
    const char* message;
  } cases[] = {
      {"", "kernel_size is missing; global_pooling: true takes the whole map"},
      {"kernel_size: 5", "kernel_size 5 exceeds input 4x4"},
      {"kernel_size: 6 stride: 2", "kernel_size 6 exceeds input 4x4"},
      {"kernel_size: 5 stride: 2 round_mode: FLOOR", "kernel_size 5 exceeds input 4x4"},
      {"kernel_size: 7 pad: 1", "kernel_size 7 exceeds input 4x4 padded by 1"},
      {"kernel_h: 2 kernel_w: 5", "kernel_size 2x5 exceeds input 4x4"},
      {"kernel_size: 0", "kernel_size must be at least 1"},
      {"kernel_size: 2 stride: 0", "stride must be at least 1"},
      {"kernel_size: 2 pad: 2", "pad 2 must be less than kernel_size 2"},
      {"kernel_size: 2 kernel_h: 2", "give either kernel_size or both kernel_h and kernel_w"},
      {"kernel_h: 2", "give both kernel_h and kernel_w; kernel_w is missing"},
      {"kernel_size: 2 stride_w: 2", "give both stride_h and stride_w; stride_h is missing"},
      {"kernel_size: 2 pad: 1 pad_h: 1 pad_w: 1", "give either pad or both pad_h and pad_w"},
      {"global_pooling: true kernel_size: 2", "global_pooling pools the whole map; remove the"},
      {"global_pooling: true stride: 2", "global_pooling needs pad 0 and stride 1"},
      {"pool: STOCHASTIC kernel_size: 2 pad: 1", "pad works with MAX and AVE only"},
      {"kernel_size: 1 stride: 4",
       "the last window would begin at pixel 4 of 4 and be empty; use "
       "round_mode: FLOOR"},
  };
  for (const auto& c : cases)
    EXPECT_ERROR(LayerHarness(pooling(c.param), {{1, 1, 4, 4}}), c.message) << c.param;
}

TEST(PoolingErrors, NameTheField) {
  try {
    const LayerHarness h(pooling("kernel_h: 5 kernel_w: 5"), {{1, 1, 4, 4}});
    ADD_FAILURE() << "expected an Error";
  } catch (const Error& e) {
    EXPECT_EQ(e.field(), "pooling_param.kernel_h");
  }
}

TEST(PoolingErrors, ShapesAndTops) {
  const std::string max = pooling("kernel_size: 1"), average = pooling("pool: AVE kernel_size: 1");
  EXPECT_ERROR(LayerHarness(max, {{4, 4}}),
               "Pooling needs N x C x H x W with H and W at least 1, not 4 x 4");
  EXPECT_ERROR(LayerHarness(max, {{1, 1, 4097, 4096}}), "more than 2^24");
  EXPECT_ERROR(LayerHarness(average, {{1, 1, 4, 4}}, {.tops = 2}),
               "only MAX pooling has a second top");
}

}  // namespace
}  // namespace doppio
