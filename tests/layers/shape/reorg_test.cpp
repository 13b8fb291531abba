#include "support/layer_harness.hpp"

namespace doppio {
namespace {

TEST(Reorg, ReordersAsDarknetDoes) {
  LayerHarness h("type: 'Reorg' reorg_param { stride: 2 }", {{1, 4, 2, 2}});
  std::vector<float> x(16);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
  h.bottom_data(0, x);
  h.forward();
  EXPECT_EQ(h.top(0).shape(), (Shape{1, 16, 1, 1}));
  const std::vector<float> y = {0, 2, 8, 10, 1, 3, 9, 11, 4, 6, 12, 14, 5, 7, 13, 15};
  expect_values(h.top(0).data, y);
  h.top_grad(0, y);
  h.backward();
  expect_values(h.bottom(0).grad, x);
}

TEST(Reorg, ReverseMovesChannelsToPixels) {
  LayerHarness h("type: 'Reorg' reorg_param { stride: 2 reverse: true }", {{1, 4, 1, 2}});
  h.bottom_data(0, {0, 1, 10, 11, 20, 21, 30, 31});
  h.forward();
  EXPECT_EQ(h.top(0).shape(), (Shape{1, 1, 2, 4}));
  expect_values(h.top(0).data, {0, 10, 1, 11, 20, 30, 21, 31});
}

TEST(Reorg, RefusesSizesThatDoNotDivide) {
  EXPECT_ERROR(LayerHarness("type: 'Reorg'", {{1, 4, 2, 2}}), "stride is missing or 0");
  EXPECT_ERROR(LayerHarness("type: 'Reorg' reorg_param { stride: 2 }", {{1, 6, 2, 2}}),
               "the 6 channels of the bottom are not a multiple of the square of stride 2");
  EXPECT_ERROR(LayerHarness("type: 'Reorg' reorg_param { stride: 2 }", {{1, 4, 3, 2}}),
               "the bottom's 3 x 2 pixels are not a multiple of stride 2");
  EXPECT_ERROR(LayerHarness("type: 'Reorg' reorg_param { stride: 2 }", {{4, 2}}),
               "needs N x C x H x W");
}

}  // namespace
}  // namespace doppio
