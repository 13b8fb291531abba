#include <cmath>

#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class RecurrentTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, RecurrentTest, testing::ValuesIn(test_devices()),
                         device_test_name);

float logistic(float x) { return 1 / (1 + std::exp(-x)); }

TEST_P(RecurrentTest, LstmUnitComputesCellAndHiddenState) {
  LayerHarness h("type: 'LSTMUnit'", {{1, 2, 1}, {1, 2, 4}, {1, 2}},
                 {.tops = 2, .device = GetParam()});
  h.bottom_data(0, {2, 2});
  h.bottom_data(1, {0, 0, 0, 1, 0, 0, 0, 1});  // i, f, o, g
  h.bottom_data(2, {1, 0});
  h.forward();
  const float fresh = 0.5f * std::tanh(1.0f);
  expect_values(h.top(0).data, {1 + fresh, fresh});
  expect_values(h.top(1).data, {0.5f * std::tanh(1 + fresh), 0.5f * std::tanh(fresh)});
}

TEST_P(RecurrentTest, LstmComputesItsRecurrence) {
  LayerHarness h("type: 'LSTM' recurrent_param { num_output: 1 }", {{2, 1, 1}, {2, 1}},
                 {.device = GetParam()});
  h.bottom_data(0, {1, 2});
  h.bottom_data(1, {0, 1});
  h.param_data(0, {0.1f, 0.2f, 0.3f, 0.4f});
  h.param_data(1, {0, 1, 0, 0});
  h.param_data(2, {0.5f, 0, 0, -1});
  h.forward();
  const float c1 = logistic(0.1f) * std::tanh(0.4f), h1 = logistic(0.3f) * std::tanh(c1);
  const float c2 = logistic(1.4f) * c1 + logistic(0.2f + 0.5f * h1) * std::tanh(0.8f - h1);
  expect_values(h.top(0).data, {h1, logistic(0.6f) * std::tanh(c2)});
}

TEST_P(RecurrentTest, RnnComputesItsRecurrenceAndKeepsStateBetweenPasses) {
  LayerHarness h("type: 'RNN' recurrent_param { num_output: 1 }", {{1, 1, 1}, {1, 1}},
                 {.device = GetParam()});
  h.bottom_data(0, {1});
  h.bottom_data(1, {1});
  h.param_data(0, {0.5f});
  h.param_data(1, {0.25f});
  h.param_data(2, {2});
  h.param_data(3, {1});
  h.param_data(4, {0.125f});
  h.forward();
  const float h1 = std::tanh(0.75f), h2 = std::tanh(0.75f + 2 * h1);
  expect_values(h.top(0).data, {std::tanh(h1 + 0.125f)});
  h.forward();
  expect_values(h.top(0).data, {std::tanh(h2 + 0.125f)});
  h.bottom_data(1, {0});
  h.forward();
  expect_values(h.top(0).data, {std::tanh(h1 + 0.125f)});
}

TEST_P(RecurrentTest, ExposeHiddenReadsAndReturnsStates) {
  LayerHarness h("type: 'RNN' recurrent_param { num_output: 1 expose_hidden: true }",
                 {{1, 1, 1}, {1, 1}, {1, 1, 1}}, {.tops = 2, .device = GetParam()});
  h.bottom_data(0, {0});
  h.bottom_data(1, {1});
  h.bottom_data(2, {0.5f});
  h.param_data(2, {3});
  h.forward();
  expect_values(h.top(1).data, {std::tanh(1.5f)});
}

TEST(RecurrentErrors, AreNamed) {
  const std::string lstm = "type: 'LSTM' recurrent_param { num_output: 2 }";
  EXPECT_ERROR(LayerHarness("type: 'LSTM'", {{2, 1, 3}, {2, 1}}), "num_output is missing");
  EXPECT_ERROR(LayerHarness(lstm, {{2, 1, 3}, {1, 2}}), "cont must be 2 x 1, not 1 x 2");
  EXPECT_ERROR(LayerHarness(lstm, {{2, 1, 3}, {2, 1}, {2, 5}}),
               "the static input must be 1 x ..., not 2 x 5");
  EXPECT_ERROR(LayerHarness(lstm, {{2, 1, 3}, {2, 1}, {1, 5}, {1, 1, 2}}), "2 or 3 bottoms, not 4");
  EXPECT_ERROR(LayerHarness("type: 'RNN' recurrent_param { num_output: 2 expose_hidden: true }",
                            {{2, 1, 3}, {2, 1}, {1, 1, 3}}, {.tops = 2}),
               "hidden state 0 must be 1 x 1 x 2, not 1 x 1 x 3");
  EXPECT_ERROR(LayerHarness("type: 'LSTMUnit'", {{1, 2, 1}, {1, 2, 3}, {1, 2}}, {.tops = 2}),
               "the gates must be 1 x 2 x 4");
  LayerHarness h(lstm, {{2, 1, 3}, {2, 1}});
  h.bottom(0).reshape({3, 1, 3});
  h.bottom(1).reshape({3, 1});
  EXPECT_ERROR(h.reshape(), "x now has 3 steps but began with 2");
}

}  // namespace
}  // namespace doppio
