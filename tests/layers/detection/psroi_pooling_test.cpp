#include "support/layer_harness.hpp"

namespace doppio {
namespace {

std::string pooling(const std::string& param) {
  return "type: 'PSROIPooling' psroi_pooling_param { " + param + " }";
}

TEST(PsroiPooling, PoolsEachBinFromItsOwnChannel) {
  LayerHarness h(pooling("spatial_scale: 1 output_dim: 1 group_size: 2"), {{1, 4, 2, 2}, {1, 5}});
  h.bottom_data(0, {1, 2, 3, 4, 10, 20, 30, 40, 5, 6, 7, 8, 50, 60, 70, 80});
  h.bottom_data(1, {0, 0, 0, 1, 1});
  h.forward();
  EXPECT_EQ(h.top(0).shape(), (Shape{1, 1, 2, 2}));
  expect_values(h.top(0).data, {1, 20, 7, 80});
  h.top_grad(0, {1, 2, 3, 4});
  h.backward({true, false});
  expect_values(h.bottom(0).grad, {1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 3, 0, 0, 0, 0, 4});
}

TEST(PsroiPooling, DividesByTheAreaInTheMap) {
  LayerHarness h(pooling("spatial_scale: 1 output_dim: 1 group_size: 1"), {{1, 1, 2, 2}, {2, 5}});
  h.bottom_data(0, {1, 2, 3, 4});
  h.bottom_data(1, {0, 1, -4, 9, 9, 0, 5, 5, 6, 6});
  h.forward();
  expect_values(h.top(0).data, {3, 0});
  h.top_grad(0, {1, 1});
  h.backward({true, false});
  expect_values(h.bottom(0).grad, {0, 0.5f, 0, 0.5f});
}

TEST(PsroiPooling, RefusesBadInput) {
  const std::vector<Shape> bottoms = {{1, 5, 2, 2}, {1, 5}};
  EXPECT_ERROR(LayerHarness(pooling("spatial_scale: 1 group_size: 2"), bottoms),
               "output_dim must be at least 1");
  EXPECT_ERROR(LayerHarness(pooling("spatial_scale: 1 output_dim: 2"), bottoms),
               "group_size must be at least 1");
  EXPECT_ERROR(LayerHarness(pooling("output_dim: 1 group_size: 2"), bottoms),
               "spatial_scale must be positive");
  EXPECT_ERROR(LayerHarness(pooling("spatial_scale: 1 output_dim: 1 group_size: 2"), bottoms),
               "output_dim 1 and group_size 2 need output_dim group_size^2 channels, the "
               "features have 5");
}

}  // namespace
}  // namespace doppio
