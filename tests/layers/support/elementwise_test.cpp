#include "support/layer_harness.hpp"

namespace doppio {
namespace {

/// What a layer makes of each x, and its slope there.
struct Case {
  const char* layer;
  std::vector<float> x, y, slope;
};

const Case kCases[] = {
    {"type: 'AbsVal'", {-2, 0, 3}, {2, 0, 3}, {-1, 0, 1}},
    {"type: 'BNLL'",
     {0, 1, -1, 100, -100},
     {0.6931472f, 1.3132617f, 0.3132617f, 100, 0},
     {0.5f, 0.7310586f, 0.2689414f, 1, 0}},
    {"type: 'Clip' clip_param { min: -1 max: 2 }",
     {-3, -1, 0, 2, 5},
     {-1, -1, 0, 2, 2},
     {0, 1, 1, 1, 0}},
    {"type: 'ELU'", {2, 0, -1}, {2, 0, -0.6321206f}, {1, 1, 0.3678794f}},
    {"type: 'ELU' elu_param { lambda: 2 alpha: 0.5 }",
     {2, 0, -1},
     {4, 0, -0.6321206f},
     {2, 1, 0.3678794f}},
    {"type: 'ELU' elu_param { alpha: 0 }", {2, -1}, {2, 0}, {1, 0}},
    {"type: 'ELU' elu_param { alpha: -2 }", {2, -1}, {2, 1.264241f}, {1, -0.7357589f}},
    {"type: 'Exp'", {0, 1}, {1, 2.7182818f}, {1, 2.7182818f}},
    {"type: 'Exp' exp_param { base: 2 scale: 3 shift: 1 }",
     {0, 1},
     {2, 16},
     {4.1588831f, 33.271065f}},
    {"type: 'Log'", {1, 4}, {0, 1.3862944f}, {1, 0.25f}},
    {"type: 'Log' log_param { base: 2 scale: 3 shift: 1 }",
     {0, 1},
     {0, 2},
     {4.3280851f, 1.0820213f}},
    {"type: 'Power'", {-2, 3}, {-2, 3}, {1, 1}},
    {"type: 'Power' power_param { power: 1 scale: 2 shift: 1 }", {-2, 3}, {-3, 7}, {2, 2}},
    {"type: 'Power' power_param { power: 2 scale: 2 shift: 1 }", {-2, 3}, {9, 49}, {-12, 28}},
    {"type: 'Power' power_param { power: 3 }", {-2, 0}, {-8, 0}, {12, 0}},
    {"type: 'Power' power_param { power: -1 shift: 1 }", {1, 3}, {0.5f, 0.25f}, {-0.25f, -0.0625f}},
    {"type: 'Power' power_param { power: 0 }", {0, 3}, {1, 1}, {0, 0}},
    {"type: 'Power' power_param { power: 3 scale: 0 shift: 2 }", {0, 9}, {8, 8}, {0, 0}},
    {"type: 'Swish'", {0, 1, -1}, {0, 0.7310586f, -0.2689414f}, {0.5f, 0.9276706f, 0.0723295f}},
    {"type: 'Swish' swish_param { beta: 2 }", {0, 0.5f}, {0, 0.3655293f}, {0.5f, 0.9276706f}},
    {"type: 'Threshold'", {-1, 0, 0.1f}, {0, 0, 1}, {0, 0, 0}},
    {"type: 'Threshold' threshold_param { threshold: 2 }", {2, 3}, {0, 1}, {0, 0}},
};

class ElementwiseTest : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, ElementwiseTest, testing::ValuesIn(test_devices()),
                         device_test_name);

TEST_P(ElementwiseTest, ValuesAndSlopesInPlaceOrNot) {
  for (const Case& c : kCases) {
    for (const bool in_place : {false, true}) {
      SCOPED_TRACE(str(c.layer, in_place ? " in place" : ""));
      const auto n = static_cast<Index>(c.x.size());
      LayerHarness h(c.layer, {{n}}, {.in_place = in_place, .device = GetParam()});
      h.bottom_data(0, c.x);
      h.forward();
      expect_values(h.top(0).data, c.y);
      h.top_grad(0, std::vector<float>(c.x.size(), 10));
      h.backward();
      std::vector<float> dx = c.slope;
      for (float& d : dx) d *= 10;
      expect_values(h.bottom(0).grad, dx);
    }
  }
}

TEST(ElementwiseErrors, AreNamed) {
  EXPECT_ERROR(LayerHarness("type: 'Clip'", {{1}}), "Clip needs clip_param { min: ... max: ... }");
  EXPECT_ERROR(LayerHarness("type: 'Clip' clip_param { min: 2 max: 1 }", {{1}}),
               "min 2 is above max 1");
  EXPECT_ERROR(LayerHarness("type: 'Exp' exp_param { base: 0 }", {{1}}),
               "base is 0; it must be above 0");
  EXPECT_ERROR(LayerHarness("type: 'Exp' exp_param { base: -2 }", {{1}}),
               "base is -2; it must be above 0");
  EXPECT_ERROR(LayerHarness("type: 'Log' log_param { base: 1 }", {{1}}),
               "base is 1; it must be above 0 and not 1");
  EXPECT_ERROR(LayerHarness("type: 'Log' log_param { base: -3 }", {{1}}), "base is -3");
}

}  // namespace
}  // namespace doppio
