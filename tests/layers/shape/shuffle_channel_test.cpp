#include "support/layer_harness.hpp"

namespace doppio {
namespace {

TEST(ShuffleChannel, InterleavesGroups) {
  LayerHarness h("type: 'ShuffleChannel' shuffle_channel_param { group: 2 }", {{1, 6}});
  h.bottom_data(0, {0, 1, 2, 10, 11, 12});
  h.forward();
  expect_values(h.top(0).data, {0, 10, 1, 11, 2, 12});
  h.top_grad(0, {0, 10, 1, 11, 2, 12});
  h.backward();
  expect_values(h.bottom(0).grad, {0, 1, 2, 10, 11, 12});
}

TEST(ShuffleChannel, RefusesGroupsThatDoNotDivide) {
  EXPECT_ERROR(LayerHarness("type: 'ShuffleChannel' shuffle_channel_param { group: 4 }", {{1, 6}}),
               "the 6 channels of the bottom cannot be split into 4 groups");
  EXPECT_ERROR(LayerHarness("type: 'ShuffleChannel' shuffle_channel_param { group: 0 }", {{1, 6}}),
               "group must be at least 1, it is 0");
  EXPECT_ERROR(LayerHarness("type: 'ShuffleChannel'", {{6}}),
               "the bottom needs at least the axes N x C");
}

}  // namespace
}  // namespace doppio
