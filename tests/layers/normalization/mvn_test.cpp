#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class MvnTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, MvnTest, testing::ValuesIn(test_devices()), device_test_name);

std::string with(const std::string& param) { return "type: 'MVN' mvn_param { " + param + " }"; }

/// Of eight values in two rows with means 4 and 50, variances 5 and 500.
void expect_normalised_rows(LayerHarness& h) {
  h.bottom_data(0, {1, 3, 5, 7, 20, 40, 60, 80});
  h.forward();
  const float a = 0.4472136f, b = 1.341641f;
  expect_values(h.top(0).data, {-b, -a, a, b, -b, -a, a, b});
  h.top_grad(0, {1, 0, 0, 0, 10, 0, 0, 0});
  h.backward();
  const std::vector<float> d{0.1341641f, -0.1788854f, -0.0447214f, 0.0894427f};
  expect_values(h.bottom(0).grad, {d[0], d[1], d[2], d[3], d[0], d[1], d[2], d[3]});
}

TEST_P(MvnTest, NormalizesMeanAndVarianceOfEachChannel) {
  LayerHarness h(with(""), {{1, 2, 4}}, {.device = GetParam()});
  EXPECT_EQ(h.top(0).shape(), (Shape{1, 2, 4, 1}));
  expect_normalised_rows(h);
}

TEST_P(MvnTest, WorksInPlace) {
  LayerHarness h(with(""), {{1, 2, 2, 2}}, {.in_place = true, .device = GetParam()});
  expect_normalised_rows(h);
}

TEST_P(MvnTest, AddsEpsToTheStandardDeviation) {
  LayerHarness h(with("eps: 1"), {{1, 1, 2}}, {.device = GetParam()});
  h.bottom_data(0, {-1, 1});
  h.forward();
  expect_values(h.top(0).data, {-0.5f, 0.5f});
}

TEST_P(MvnTest, NormalizeVarianceFalseSubtractsTheMean) {
  LayerHarness h(with("normalize_variance: false across_channels: true"), {{1, 2, 2}},
                 {.device = GetParam()});
  h.bottom_data(0, {1, 2, 3, 6});
  h.forward();
  expect_values(h.top(0).data, {-2, -1, 0, 3});
  h.top_grad(0, {4, 0, 0, 0});
  h.backward();
  expect_values(h.bottom(0).grad, {3, -1, -1, -1});
}

TEST(MvnErrors, AreNamed) {
  EXPECT_ERROR(LayerHarness(with(""), {{1, 1, 1, 1, 2}}),
               "MVN takes at most four axes, but the bottom is 1 x 1 x 1 x 1 x 2");
}

}  // namespace
}  // namespace doppio
