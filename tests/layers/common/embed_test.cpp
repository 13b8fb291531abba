#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class EmbedTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, EmbedTest, testing::ValuesIn(test_devices()), device_test_name);

std::string with(const std::string& param) { return "type: 'Embed' embed_param { " + param + " }"; }

TEST_P(EmbedTest, LooksUpRows) {
  LayerHarness h(with("input_dim: 3 num_output: 2"), {{2, 2}}, {.device = GetParam()});
  EXPECT_EQ(h.top(0).shape(), (Shape{2, 2, 2}));
  h.param_data(0, {1, 2, 3, 4, 5, 6});
  h.param_data(1, {10, 20});
  h.bottom_data(0, {2, 0, 2, 2});
  h.forward();
  expect_values(h.top(0).data, {15, 26, 11, 22, 15, 26, 15, 26});
  h.top_grad(0, {1, 2, 3, 4, 5, 6, 7, 8});
  set_values(h.param(0).grad, {100, 100, 100, 100, 100, 100});
  h.backward({false});
  expect_values(h.param(0).grad, {103, 104, 100, 100, 113, 116});
  expect_values(h.param(1).grad, {16, 20});
}

TEST_P(EmbedTest, BiasAndFillersAreOptions) {
  LayerHarness h(with("input_dim: 2 num_output: 1 bias_term: false weight_filler { value: 3 }"),
                 {{1}}, {.device = GetParam()});
  EXPECT_EQ(h.layer().params.size(), 1u);
  h.forward();
  expect_values(h.top(0).data, {3});
}

TEST(EmbedErrors, AreNamed) {
  EXPECT_ERROR(LayerHarness(with("input_dim: 2"), {{1}}), "num_output, the length of a row");
  EXPECT_ERROR(LayerHarness(with("num_output: 2"), {{1}}), "input_dim, the number of rows");
  LayerHarness h(with("input_dim: 2 num_output: 1"), {{1}});
  h.bottom_data(0, {2});
  EXPECT_ERROR(h.forward(), "index 2 in place 0 is out of range; it must be from 0 to 1");
}

}  // namespace
}  // namespace doppio
