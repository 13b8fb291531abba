#include <algorithm>

#include "data/convert_fixture.hpp"

namespace doppio {
namespace {

class ImageDataLayer : public ConvertTest {
 protected:
  /// A list of `n` images of 1 x 2 pixels of value i, with label i, and a space in the name.
  std::string make(int n) {
    std::string list;
    for (int i = 0; i < n; ++i)
      list += image(str("image ", i, ".png"), 1, 2, cv::Scalar(i, i + 100, i + 200)) +
              str(" ", i, "\n");
    return folder.write("list.txt", list);
  }

  std::string layer(const std::string& list, const std::string& image_data,
                    const std::string& transform = {}) {
    return str("type: 'ImageData' image_data_param { source: '", list, "' root_folder: '",
               folder / "", "' ", image_data, " } transform_param { ", transform, " }");
  }

  static std::vector<float> labels(LayerHarness& h, int batches) {
    std::vector<float> all;
    for (int i = 0; i < batches; ++i) {
      h.forward();
      for (const float label : values(h.top(1).data)) all.push_back(label);
    }
    return all;
  }
};

TEST_F(ImageDataLayer, ReadsItsListInOrderAndWrapsAround) {
  LayerHarness h(layer(make(3), "batch_size: 2"), {}, {.tops = 2});
  EXPECT_EQ(h.top(0).shape(), Shape({2, 3, 1, 2}));
  EXPECT_EQ(h.top(1).shape(), Shape({2}));
  h.forward();
  expect_values(h.top(0).data, {0, 0, 100, 100, 200, 200, 1, 1, 101, 101, 201, 201});
  EXPECT_EQ(labels(h, 2), (std::vector<float>{2, 0, 1, 2}));
  EXPECT_EQ(h.layer().item_name(0), "list " + folder / "list.txt" + ", image 'image 1.png'");
}

TEST_F(ImageDataLayer, GrayResizedAndTransformed) {
  image("a.png", 4, 6, {50, 50, 50});
  const std::string list = folder.write("list.txt", "a.png 5");
  LayerHarness h(
      layer(list, "is_color: false new_height: 2 new_width: 1", "scale: 2 mean_value: 1"), {},
      {.tops = 2});
  EXPECT_EQ(h.top(0).shape(), Shape({1, 1, 2, 1}));
  h.forward();
  expect_values(h.top(0).data, {98, 98});
}

TEST_F(ImageDataLayer, BatchesOfOneMayDifferInSize) {
  image("a.png", 2, 3, {1, 1, 1});
  image("b.png", 4, 1, {2, 2, 2});
  LayerHarness h(layer(folder.write("list.txt", "a.png 0\nb.png 1"), "is_color: false"), {},
                 {.tops = 2});
  h.forward();
  EXPECT_EQ(h.top(0).shape(), Shape({1, 1, 2, 3}));
  h.forward();
  EXPECT_EQ(h.top(0).shape(), Shape({1, 1, 4, 1}));
  expect_values(h.top(0).data, {2, 2, 2, 2});
}

TEST_F(ImageDataLayer, EachBatchHasTheSizeOfItsOwnImageWhateverItHeldBefore) {
  image("a.png", 2, 3, {1, 1, 1});
  image("b.png", 40, 30, {2, 2, 2});
  const std::string list =
      folder.write("list.txt", "a.png 1\nb.png 2\nb.png 2\nb.png 2\na.png 1\na.png 1");
  for (const std::string threads : {"1", "3"}) {
    LayerHarness h(layer(list, "is_color: false threads: " + threads), {}, {.tops = 2});
    for (int i = 0; i < 30; ++i) {
      h.reshape();
      h.forward();
      const bool large = h.top(1).data.read_host()[0] == 2;
      ASSERT_EQ(h.top(0).shape(), large ? Shape({1, 1, 40, 30}) : Shape({1, 1, 2, 3})) << i;
      const float* pixels = h.top(0).data.read_host();
      for (Index k = 0; k < h.top(0).count(); ++k) ASSERT_EQ(pixels[k], large ? 2 : 1);
    }
  }
}

TEST_F(ImageDataLayer, ShufflesAnewInEachEpochAndResumes) {
  const std::string text = layer(make(20), "batch_size: 5 shuffle: true");
  LayerHarness h(text, {}, {.tops = 2});
  const std::vector<float> first = labels(h, 4), second = labels(h, 4);
  EXPECT_NE(first, second);
  for (std::vector<float> epoch : {first, second}) {
    std::sort(epoch.begin(), epoch.end());
    for (int i = 0; i < 20; ++i) EXPECT_EQ(epoch[static_cast<std::size_t>(i)], i);
  }
  LayerHarness resumed(text, {}, {.tops = 2});
  resumed.layer().seek({20});
  EXPECT_EQ(labels(resumed, 4), second);
}

TEST_F(ImageDataLayer, RandSkipSkipsImagesAtTheStart) {
  const std::string text = layer(make(20), "batch_size: 2 rand_skip: 15");
  LayerHarness a(text, {}, {.tops = 2}), b(text, {}, {.tops = 2});
  b.ctx().seed = 12345;
  const std::vector<float> from_a = labels(a, 1), from_b = labels(b, 1);
  EXPECT_EQ(from_a[1], from_a[0] + 1);
  EXPECT_LT(from_a[0], 15);
  EXPECT_NE(from_a, from_b);
}

TEST_F(ImageDataLayer, DamagedFilesFailOrAreSkipped) {
  image("a.png", 1, 1, {1, 1, 1});
  folder.write("b.png", "no image");
  const std::string list = folder.write("list.txt", "a.png 7\nb.png 8\n");
  LayerHarness fails(layer(list, "batch_size: 2"), {}, {.tops = 2});
  EXPECT_ERROR(fails.forward(), "list " + list + ", image 'b.png': cannot decode the image");
  LayerHarness skips(layer(list, "batch_size: 2 on_error: SKIP"), {}, {.tops = 2});
  EXPECT_EQ(labels(skips, 1), (std::vector<float>{7, 7}));
}

TEST_F(ImageDataLayer, NoUsableImageIsSaidSo) {
  folder.write("b.png", "");
  const std::string list = folder.write("list.txt", "b.png 8\n");
  EXPECT_ERROR(LayerHarness(layer(list, "on_error: SKIP max_skipped: 1"), {}, {.tops = 2}),
               "none of 1 images can be used; the last one: list " + list);
}

TEST_F(ImageDataLayer, MeanFileIsBlamedBeforeTheImages) {
  const std::string list = folder.write("list.txt", "gone.png 8\n");
  try {
    const LayerHarness wrong(layer(list, "batch_size: 1", "mean_file: '" + list + "'"), {},
                             {.tops = 2});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.field(), "transform_param.mean_file");
    EXPECT_EQ(e.message(),
              list + " is not a mean file; it is a text file; `doppio mean` makes one");
  }
}

TEST_F(ImageDataLayer, RefusesIncompleteParameters) {
  const auto refused = [](const std::string& text) {
    return error_of([&] { LayerHarness("type: 'ImageData' " + text, {}, {.tops = 2}); });
  };
  EXPECT_EQ(refused(""), "source is missing");
  EXPECT_EQ(refused("image_data_param { source: 'x' batch_size: 0 }"),
            "batch_size must be at least 1");
  EXPECT_TRUE(contains(refused("image_data_param { source: 'x' new_width: 3 }"),
                       "new_height 0 and new_width 3: give both"));
  EXPECT_TRUE(contains(refused("image_data_param { source: 'nolist' }"),
                       "cannot read nolist: No such file or directory"));
}

}  // namespace
}  // namespace doppio
