#include <algorithm>

#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class LrnTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, LrnTest, testing::ValuesIn(test_devices()), device_test_name);

std::string lrn(const std::string& param) { return "type: 'LRN' lrn_param { " + param + " }"; }

TEST_P(LrnTest, AcrossChannelsNormalizesOverTheWindow) {
  LayerHarness h(lrn("local_size: 3 alpha: 3 beta: 1"), {{1, 4, 1, 1}}, {.device = GetParam()});
  h.bottom_data(0, {1, 2, 0, 1});
  h.forward();
  expect_values(h.top(0).data, {1.0f / 6, 1.0f / 3, 0, 0.5f});
  h.top_grad(0, {6, 6, 6, 2});
  h.backward();
  expect_values(h.bottom(0).grad, {0, -1, 1, 0});
}

TEST_P(LrnTest, AppliesAnyBeta) {
  // 4 + 3 * 2^2 = 1 + 3.75 * 2^2 = 16
  for (const auto& [beta, y] :
       {std::pair{"0.75", 0.25f}, {"0.5", 0.5f}, {"1", 0.125f}, {"0.25", 1.0f}, {"2", 2.0f / 256}})
    for (const char* rest : {"alpha: 3 k: 4", "alpha: 3.75 norm_region: WITHIN_CHANNEL"}) {
      LayerHarness h(lrn(str("local_size: 1 beta: ", beta, " ", rest)), {{1, 1, 1, 1}},
                     {.device = GetParam()});
      h.bottom_data(0, {2});
      h.forward();
      expect_values(h.top(0).data, {y});
    }
}

TEST_P(LrnTest, WithinChannelNormalizesOverTheSquareWindow) {
  LayerHarness h(lrn("local_size: 3 alpha: 9 beta: 1 k: 5 norm_region: WITHIN_CHANNEL"),
                 {{1, 2, 2, 2}}, {.device = GetParam()});
  h.bottom_data(0, {1, 1, 1, 0, 0, 0, 0, 2});
  h.forward();
  expect_values(h.top(0).data, {0.25f, 0.25f, 0.25f, 0, 0, 0, 0, 0.4f});
  h.top_grad(0, {4, 4, 4, 4, 5, 5, 5, 5});
  h.backward();
  expect_values(h.bottom(0).grad, {-0.5f, -0.5f, -0.5f, 1, 1, 1, 1, -0.6f});
}

TEST_P(LrnTest, RowsMayHaveAnyLength) {
  const std::size_t n = 150;
  LayerHarness within(lrn("local_size: 3 alpha: 9 beta: 1 norm_region: WITHIN_CHANNEL"),
                      {{1, 1, 1, n}}, {.device = GetParam()});
  within.bottom_data(0, std::vector<float>(n, 1));
  within.forward();
  std::vector<float> expected(n, 0.25f);
  expected.front() = expected.back() = 1.0f / 3;
  expect_values(within.top(0).data, expected);

  LayerHarness across(lrn("local_size: 3 alpha: 3 beta: 1"), {{1, 3, 1, n}},
                      {.device = GetParam()});
  across.bottom_data(0, std::vector<float>(3 * n, 1));
  across.forward();
  std::vector<float> channels(3 * n, 1.0f / 3);
  std::fill_n(channels.begin() + n, n, 0.25f);
  expect_values(across.top(0).data, channels);
}

TEST_P(LrnTest, GroupsOfChannelsAreNormalizedApart) {
  LayerHarness h(lrn("local_size: 3 alpha: 3 beta: 1 group: 2"), {{1, 4, 1, 1}},
                 {.device = GetParam()});
  h.bottom_data(0, {1, 2, 0, 1});
  h.forward();
  expect_values(h.top(0).data, {1.0f / 6, 1.0f / 3, 0, 0.5f});
  h.bottom_data(0, {1, 2, 1, 1});
  h.forward();
  expect_values(h.top(0).data, {1.0f / 6, 1.0f / 3, 1.0f / 3, 1.0f / 3});
  h.top_grad(0, {6, 6, 9, 9});
  h.backward();
  expect_values(h.bottom(0).grad, {0, -1, -1, -1});
}

TEST(LrnBlocks, AGroupMayEndWithinABlock) {
  const std::size_t n = 32;
  for (const auto& [group, edges] : {std::pair{2u, 2u}, {8u, 8u}}) {
    LayerHarness h(lrn(str("local_size: 3 alpha: 3 beta: 1 group: ", group)), {{1, n, 1, 1}});
    h.bottom_data(0, std::vector<float>(n, 1));
    h.bottom(0).data.update(h.ctx(), Layout::nchw_blocked);
    h.forward();
    std::vector<float> expected(n, 0.25f);
    for (std::size_t g = 0; g < edges; ++g)
      expected[g * n / group] = expected[(g + 1) * n / group - 1] = 1.0f / 3;
    expect_values(h.top(0).data, expected);
  }
}

TEST(LrnBlocks, NormalizeMoreChannelsThanTheScratchHolds) {
  const std::size_t n = 4096;
  LayerHarness h(lrn("local_size: 3 alpha: 3 beta: 1"), {{1, n, 1, 1}});
  h.bottom_data(0, std::vector<float>(n, 1));
  h.bottom(0).data.update(h.ctx(), Layout::nchw_blocked);
  h.forward();
  std::vector<float> expected(n, 0.25f);
  expected.front() = expected.back() = 1.0f / 3;
  expect_values(h.top(0).data, expected);
}

TEST(LrnErrors, SizeAndShape) {
  for (const char* size : {"4", "0"})
    EXPECT_ERROR(LayerHarness(lrn(str("local_size: ", size)), {{1, 1, 2, 2}}),
                 str("local_size must be odd, not ", size));
  EXPECT_ERROR(LayerHarness(lrn(""), {{3, 4}}),
               "LRN needs a bottom of 4 axes (N x C x H x W), not 3 x 4");
}

TEST(LrnErrors, Groups) {
  EXPECT_ERROR(LayerHarness(lrn("group: 0"), {{1, 4, 2, 2}}), "group must be at least 1");
  EXPECT_ERROR(LayerHarness(lrn("group: 3"), {{1, 4, 2, 2}}),
               "the 4 channels cannot be divided into 3 groups of equal size");
}

}  // namespace
}  // namespace doppio
