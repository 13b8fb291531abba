#include <algorithm>
#include <cmath>

#include "math/philox.hpp"
#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class DropoutTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, DropoutTest, testing::ValuesIn(test_devices()), device_test_name);

std::string dropout(const std::string& ratio) {
  return "type: 'Dropout' dropout_param { dropout_ratio: " + ratio + " }";
}

TEST_P(DropoutTest, MaskDependsOnLayerNameAndPass) {
  LayerHarness h(dropout("0.2"), {{3, 3}}, {.device = GetParam()});
  h.bottom_data(0, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  h.ctx().pass = 12;
  h.forward();
  h.top_grad(0, std::vector<float>(9, 4));
  h.ctx().pass = 13;  // backward belongs to the forward pass, whatever has happened since
  h.backward();

  const Random random{1, stream_of("layer"), 12};  // 1 is the harness's seed
  std::vector<float> y, dx;
  for (Index i = 0; i < 9; ++i) {
    const bool dropped = random.bits(i) < std::ldexp(0.2f, 32);
    y.push_back(dropped ? 0 : 1.25f * static_cast<float>(i + 1));
    dx.push_back(dropped ? 0 : 5);
  }
  expect_values(h.top(0).data, y);
  expect_values(h.bottom(0).grad, dx);
}

TEST_P(DropoutTest, DropsTheGivenRatioWithANewMaskEachPass) {
  const std::size_t n = 40000;
  LayerHarness h(dropout("0.3"), {{Index{n}}}, {.in_place = true, .device = GetParam()});
  h.bottom_data(0, std::vector<float>(n, 1));
  h.forward();
  const std::vector<float> first = values(h.top(0).data);
  EXPECT_NEAR(static_cast<double>(std::count(first.begin(), first.end(), 0.0f)), 0.3 * n, 400);
  EXPECT_NEAR(*std::max_element(first.begin(), first.end()), 1 / 0.7f, 1e-6);

  h.ctx().pass = 1;
  h.bottom_data(0, std::vector<float>(n, 1));
  h.forward();
  EXPECT_NE(values(h.top(0).data), first);
}

TEST_P(DropoutTest, PartsOfTheChannelsDropWhatTheWholeWould) {
  LayerHarness all(dropout("0.4"), {{4, 6, 7}}, {.device = GetParam()});
  all.bottom_data(0, std::vector<float>(4 * 6 * 7, 1));
  all.forward();
  for (int shard = 0; shard < 2; ++shard)
    for (int part = 0; part < 3; ++part) {
      LayerHarness h(dropout("0.4"), {{2, 2, 7}}, {.device = GetParam()});
      h.ctx().shard = {shard, 2};
      h.ctx().part = {part, 3};
      h.bottom_data(0, std::vector<float>(2 * 2 * 7, 1));
      h.forward();
      std::vector<float> expected;
      for (int item = 0; item < 2; ++item)
        for (int i = 0; i < 14; ++i)
          expected.push_back(all.top(0).data.read_host()[((item * 2 + shard) * 3 + part) * 14 + i]);
      EXPECT_EQ(values(h.top(0).data), expected) << "shard " << shard << ", part " << part;
    }
}

TEST_P(DropoutTest, ShardsDropWhatTheWholeBatchWould) {
  // Items of 70 values begin within a block of four draws and need several chunks.
  const Index values_per_item = 70;
  LayerHarness all(dropout("0.4"), {{6, 7, 10}}, {.device = GetParam()});
  all.bottom_data(0, std::vector<float>(6 * 70, 1));
  all.forward();
  const std::vector<float> whole = values(all.top(0).data);
  for (int shard = 0; shard < 3; ++shard) {
    LayerHarness h(dropout("0.4"), {{2, 7, 10}}, {.device = GetParam()});
    h.ctx().shard = {shard, 3};
    h.bottom_data(0, std::vector<float>(2 * 70, 1));
    h.forward();
    const std::vector<float> part = values(h.top(0).data);
    for (Index i = 0; i < 2 * values_per_item; ++i) {
      const Index item = 3 * (i / values_per_item) + shard;
      ASSERT_EQ(part[static_cast<std::size_t>(i)],
                whole[static_cast<std::size_t>(item * values_per_item + i % values_per_item)])
          << shard << " " << i;
    }
  }
}

TEST_P(DropoutTest, IsTheIdentityInTestPhase) {
  for (const bool in_place : {false, true}) {
    LayerHarness h("phase: TEST " + dropout("0.9"), {{4}},
                   {.in_place = in_place, .device = GetParam()});
    h.bottom_data(0, {1, -2, 3, 4});
    h.forward();
    expect_values(h.top(0).data, {1, -2, 3, 4});
    h.top_grad(0, {5, 6, 7, 8});
    h.backward();
    expect_values(h.bottom(0).grad, {5, 6, 7, 8});
  }
}

TEST_P(DropoutTest, RatioZeroKeepsEverything) {
  LayerHarness h(dropout("0"), {{5}}, {.device = GetParam()});
  h.bottom_data(0, {1, 2, 3, 4, 5});
  h.forward();
  expect_values(h.top(0).data, {1, 2, 3, 4, 5});
}

TEST_P(DropoutTest, ScaleTrainFalseScalesInTestPhase) {
  for (const bool in_place : {false, true}) {
    LayerHarness test("phase: TEST " + dropout("0.75 scale_train: false"), {{2}},
                      {.in_place = in_place, .device = GetParam()});
    test.bottom_data(0, {4, 8});
    test.forward();
    expect_values(test.top(0).data, {1, 2});
    test.top_grad(0, {4, 8});
    test.backward();
    expect_values(test.bottom(0).grad, {1, 2});
  }
  LayerHarness train(dropout("0.5 scale_train: false"), {{64}}, {.device = GetParam()});
  train.bottom_data(0, std::vector<float>(64, 3));
  train.forward();
  const std::vector<float> y = values(train.top(0).data);
  const auto kept = std::count(y.begin(), y.end(), 3.0f);
  EXPECT_EQ(kept + std::count(y.begin(), y.end(), 0.0f), 64);
  EXPECT_GT(kept, 16);
  EXPECT_LT(kept, 48);
}

TEST_P(DropoutTest, SampleWeightsTestDropsInTestPhase) {
  LayerHarness h("phase: TEST " + dropout("0.5 sample_weights_test: true"), {{64}},
                 {.device = GetParam()});
  h.bottom_data(0, std::vector<float>(64, 3));
  h.forward();
  const std::vector<float> y = values(h.top(0).data);
  EXPECT_GT(std::count(y.begin(), y.end(), 6.0f), 16);
  EXPECT_GT(std::count(y.begin(), y.end(), 0.0f), 16);
}

TEST(DropoutErrors, RatioOutOfRange) {
  for (const char* ratio : {"1", "-0.1", "nan"}) {
    EXPECT_ERROR(LayerHarness(dropout(ratio), {{4}}),
                 str("dropout_ratio must be at least 0 and less than 1, not ", ratio));
  }
}

}  // namespace
}  // namespace doppio
