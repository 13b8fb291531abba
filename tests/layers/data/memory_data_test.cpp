#include "doppio/memory_data.hpp"

#include "support/layer_harness.hpp"

namespace doppio {
namespace {

constexpr char kLayer[] =
    "type: 'MemoryData' memory_data_param { batch_size: 2 channels: 1 height: 1 width: 2 } ";

TEST(MemoryData, ServesItsItemsInOrderAndWrapsAround) {
  LayerHarness h(kLayer, {}, {.tops = 2});
  EXPECT_EQ(h.top(0).shape(), Shape({2, 1, 1, 2}));
  EXPECT_EQ(h.top(1).shape(), Shape({2, 1, 1, 1}));
  set_memory_data(h.layer(), {1, 2, 3, 4, 5, 6, 7, 8}, {10, 20, 30, 40});
  for (int epoch = 0; epoch < 2; ++epoch) {
    h.forward();
    expect_values(h.top(0).data, {1, 2, 3, 4});
    expect_values(h.top(1).data, {10, 20});
    h.forward();
    expect_values(h.top(0).data, {5, 6, 7, 8});
    expect_values(h.top(1).data, {30, 40});
  }
  EXPECT_EQ(h.layer().cursor().records, 8u);
  h.layer().seek({2});
  h.forward();
  expect_values(h.top(1).data, {30, 40});
  h.layer().seek({7});  // where a run with another batch_size has stopped
  h.forward();
  expect_values(h.top(0).data, {7, 8, 1, 2});
  expect_values(h.top(1).data, {40, 10});
  set_memory_data(h.layer(), {9, 9, 9, 9}, {1, 2});
  h.forward();
  expect_values(h.top(1).data, {1, 2});
}

TEST(MemoryData, TransformsImages) {
  LayerHarness h(
      "type: 'MemoryData' phase: TEST transform_param { scale: 0.5 mean_value: 1 crop_size: 1 } "
      "memory_data_param { batch_size: 1 channels: 3 height: 1 width: 1 }",
      {}, {.tops = 2});
  const std::uint8_t pixels[] = {0, 0, 0, 11, 21, 31, 0, 0, 0};
  const MemoryImage image{.pixels = pixels, .height = 1, .width = 3, .channels = 3, .label = 4};
  set_memory_images(h.layer(), h.ctx(), {&image, 1});
  h.forward();
  expect_values(h.top(0).data, {5, 10, 15});
  expect_values(h.top(1).data, {4});
}

TEST(MemoryData, RefusesWhatDoesNotFit) {
  LayerHarness h(kLayer, {}, {.tops = 2});
  EXPECT_EQ(error_of([&] { h.forward(); }), "no data was given; call set_memory_data() first");
  EXPECT_EQ(error_of([&] {
              set_memory_data(h.layer(), {1, 2, 3, 4, 5, 6}, {1, 2, 3});
            }),
            "3 items are not a multiple of batch_size 2");
  EXPECT_EQ(error_of([&] {
              set_memory_data(h.layer(), {1, 2, 3}, {1, 2});
            }),
            "3 values for 2 items of 1 x 1 x 2");
  const std::uint8_t pixels[] = {1, 2, 3};
  const MemoryImage image{.pixels = pixels, .height = 1, .width = 3, .channels = 1};
  EXPECT_EQ(error_of([&] {
              set_memory_images(h.layer(), h.ctx(), {&image, 1});
            }),
            "image 0 becomes 1 x 1 x 3, and the layer hands out 1 x 1 x 2");
  LayerHarness other("type: 'Silence'", {{2}}, {.tops = 0});
  EXPECT_EQ(error_of([&] { set_memory_data(other.layer(), {1}, {1}); }),
            "the layer is not of type MemoryData");
  const std::string views = str(kLayer, "phase: TEST transform_param { views: 2 }");
  EXPECT_EQ(error_of([&] { LayerHarness(views, {}, {.tops = 2}); }),
            "MemoryData gives one view of an image");
  EXPECT_ERROR(LayerHarness("type: 'MemoryData'", {}, {.tops = 2}),
               "batch_size, channels, height and width must be given");
}

}  // namespace
}  // namespace doppio
