#include "data/convert_fixture.hpp"
#include "data/image/window_crop.hpp"

namespace doppio {
namespace {

WindowCrop crop(int x1, int y1, int x2, int y2, const WindowCropOptions& options,
                bool mirrored = false) {
  return crop_window({.x1 = x1, .y1 = y1, .x2 = x2, .y2 = y2}, 10, 20, mirrored, options);
}

TEST(WindowCrop, WarpsTheWindowItself) {
  const WindowCrop c = crop(2, 3, 5, 9, {.crop_size = 8});
  EXPECT_EQ(c.x, 2);
  EXPECT_EQ(c.y, 3);
  EXPECT_EQ(c.width, 4);
  EXPECT_EQ(c.height, 7);
  EXPECT_EQ(c.out_width, 8);
  EXPECT_EQ(c.out_height, 8);
  EXPECT_EQ(c.left, 0);
  EXPECT_EQ(c.top, 0);
}

// Window of 4 x 4 around (10, 6), context 8 / (8 - 2 * 2) = 2: x 6..14, y 2..10, of which row 10
// lies beyond the image. 9 pixels become 8: 8 / 9 * 8 = 7.1 rows remain, 0.9 are beyond.
TEST(WindowCrop, ShowsWhatIsAround) {
  const WindowCrop c = crop(8, 4, 11, 7, {.crop_size = 8, .context_pad = 2});
  EXPECT_EQ(c.x, 6);
  EXPECT_EQ(c.width, 9);
  EXPECT_EQ(c.y, 2);
  EXPECT_EQ(c.height, 8);
  EXPECT_EQ(c.out_width, 8);
  EXPECT_EQ(c.out_height, 7);
  EXPECT_EQ(c.left, 0);
  EXPECT_EQ(c.top, 0);
}

// Window of 2 x 6 at the left edge, centre (1, 5), half side 3: x -2..4, y 2..8 of 7 pixels each.
// 2 of 7 columns lie beyond: 2 / 7 * 14 = 4 pixels; mirrored they are on the right.
TEST(WindowCrop, TakesTheSquareAround) {
  const WindowCropOptions square{.crop_size = 14, .square = true};
  const WindowCrop c = crop(0, 2, 1, 7, square);
  EXPECT_EQ(c.x, 0);
  EXPECT_EQ(c.width, 5);
  EXPECT_EQ(c.y, 2);
  EXPECT_EQ(c.height, 7);
  EXPECT_EQ(c.left, 4);
  EXPECT_EQ(c.out_width, 10);
  EXPECT_EQ(c.out_height, 14);
  const WindowCrop mirrored = crop(0, 2, 1, 7, square, true);
  EXPECT_EQ(mirrored.left, 0);
  EXPECT_EQ(mirrored.out_width, 10);
}

TEST(WindowCrop, RefusesImpossibleWindows) {
  EXPECT_EQ(error_of([] { crop(5, 0, 4, 3, {.crop_size = 8}); }), "the window is empty");
  EXPECT_EQ(error_of([] { crop(0, 0, 20, 3, {.crop_size = 8}); }),
            "the window is not in the image of 10 x 20 pixels");
  EXPECT_EQ(error_of([] { crop(50, 0, 60, 3, {.crop_size = 8, .square = true}); }),
            "the window lies beyond the image");
}

TEST(WindowList, SortsWindowsByOverlap) {
  ScratchFolder folder;
  const std::string file = folder.write("windows.txt",
                                        "# 0\na.png\n3 10 20\n3\n"
                                        "1 0.5 0 1 2 3\n2 0.4 1 1 1 1\n3 0.2 4 5 6 7\n"
                                        "# 1\nb.png\n3 1 1\n1\n9 1 0 0 0 0\n");
  const WindowList list = read_window_list(file, 0.5f, 0.3f);
  EXPECT_EQ(list.images, (std::vector<std::string>{"a.png", "b.png"}));
  ASSERT_EQ(list.objects.size(), 2u);
  EXPECT_EQ(list.objects[0].label, 1);
  EXPECT_EQ(list.objects[0].y2, 3);
  EXPECT_EQ(list.objects[1].image, 1);
  ASSERT_EQ(list.background.size(), 1u);
  EXPECT_EQ(list.background[0].label, 0);
  EXPECT_EQ(list.background[0].x1, 4);
}

TEST(WindowList, NamesTheImageThatIsWrong) {
  ScratchFolder folder;
  const auto refused = [&](const std::string& text) {
    return error_of([&] { read_window_list(folder.write("w.txt", text), 0.5f, 0.5f); });
  };
  const std::string file = folder / "w.txt", line1 = file + ":1: error: ";
  EXPECT_EQ(refused(""), "the window file " + file + " is empty");
  EXPECT_EQ(refused("0\na.png"), line1 + "image 0: an image begins with '#' and its number");
  EXPECT_EQ(refused("# 4 a.png 3 x"),
            line1 + "image 4: expected path, channels, height, width and number of windows");
  EXPECT_EQ(refused("# 4\na.png\n3 1 1 1\n1 0.5 0 0 0"),
            file + ":4: error: image 4: a window is six numbers: label overlap x1 y1 x2 y2");
  EXPECT_EQ(refused("# 4 a.png 3 1 1 1 0 0.5 0 0 0 0"),
            line1 + "image 4: an object needs a label above 0");
  EXPECT_EQ(refused("# 4 a.png 3 1 1 1 1 0.5 0 0 0 2000000"),
            line1 + "image 4: a corner lies too far out");
  EXPECT_EQ(refused("# 4 a.png 3 1 1 1 1 0.5 \u2212"
                    "1 0 0 0"),
            file +
                ":1:25: error: image 4: a window is six numbers: label overlap x1 y1 x2 y2; "
                "here is U+2212 MINUS SIGN, which looks like '-'");
  EXPECT_ERROR(read_window_list("none", 0.5f, 0.5f), "cannot read none");
}

TEST(WindowList, LinesMayComeFromWindowsAndPathsMayHoldBlanks) {
  ScratchFolder folder;
  const WindowList list = read_window_list(
      folder.write("w.txt",
                   "\xEF\xBB\xBF# 0\r\nmy  image 2.png\r\n3\r\n8\r\n8\r\n1\r\n1 1 0 0 1 1\r\n"),
      0.5f, 0.5f);
  EXPECT_EQ(list.images, std::vector<std::string>{"my  image 2.png"});
  ASSERT_EQ(list.objects.size(), 1u);
  EXPECT_EQ(list.objects[0].x2, 1);
}

class WindowDataLayer : public ConvertTest {
 protected:
  /// Two images, of values 100 and 200; an object and a background window in each.
  WindowDataLayer() {
    image("a.png", 8, 8, {100, 101, 102});
    image("b.png", 8, 8, {200, 201, 202});
    folder.write("windows.txt",
                 "# 0 a.png 3 8 8 2 1 0.9 1 1 4 4 1 0.1 2 2 7 7\n"
                 "# 1 b.png 3 8 8 2 2 0.9 0 0 3 3 2 0.1 4 4 7 7\n");
  }
  std::string layer(const std::string& window_data, const std::string& transform) {
    return str("type: 'WindowData' window_data_param { source: '", folder / "windows.txt",
               "' root_folder: '", folder / "", "' ", window_data, " } transform_param { ",
               transform, " }");
  }
};

TEST_F(WindowDataLayer, PutsBackgroundBeforeObjects) {
  for (const std::string cached : {"", "cache_images: true "}) {
    LayerHarness h(
        layer(cached + "batch_size: 5 fg_fraction: 0.5 scale: 2", "crop_size: 2 mean_value: 50"),
        {}, {.tops = 2});
    EXPECT_EQ(h.top(0).shape(), Shape({5, 3, 2, 2}));
    bool seen_a = false, seen_b = false;
    for (int batch = 0; batch < 8; ++batch) {
      h.forward();
      const std::vector<float> labels = values(h.top(1).data), data = values(h.top(0).data);
      for (std::size_t i = 0; i < 5; ++i) {
        EXPECT_EQ(labels[i] > 0, i >= 3);
        const float blue = data[i * 12];
        EXPECT_TRUE(blue == 100 || blue == 300) << blue;
        EXPECT_EQ(data[i * 12 + 11], blue + 4);
        if (labels[i] > 0) {
          EXPECT_EQ(blue, labels[i] == 1 ? 100 : 300);
        }
        (blue == 100 ? seen_a : seen_b) = true;
      }
    }
    EXPECT_TRUE(seen_a && seen_b);
  }
}

TEST_F(WindowDataLayer, LeavesWhatIsBeyondTheImageAtZero) {
  folder.write("windows.txt", "# 0 a.png 3 8 8 1 1 1 0 0 1 7\n");  // 2 x 8 at the left edge
  LayerHarness h(
      layer("batch_size: 1 fg_fraction: 1 crop_mode: 'square'", "crop_size: 9 mean_value: 90"), {},
      {.tops = 2});
  h.forward();
  const float* row = h.top(0).data.read_host();
  EXPECT_EQ(std::vector<float>(row, row + 9),
            (std::vector<float>{0, 0, 0, 10, 10, 10, 10, 10, 10}));
}

TEST_F(WindowDataLayer, TakesTheCentreOfAMeanImage) {
  BlobProto mean;
  for (const int d : {1, 3, 4, 4}) mean.mutable_shape()->add_dim(d);
  for (int i = 0; i < 48; ++i) mean.add_data(static_cast<float>(i));
  const std::string file = folder.write("mean.binaryproto", mean.SerializeAsString());
  folder.write("windows.txt", "# 0 a.png 3 8 8 1 1 1 0 0 1 1\n");
  LayerHarness h(layer("batch_size: 1 fg_fraction: 1", "crop_size: 2 mean_file: '" + file + "'"),
                 {}, {.tops = 2});
  h.forward();
  const float* blue = h.top(0).data.read_host();
  EXPECT_EQ(std::vector<float>(blue, blue + 4), (std::vector<float>{95, 94, 91, 90}));
}

TEST_F(WindowDataLayer, ResumesExactly) {
  const std::string text = layer("batch_size: 6", "crop_size: 3 mirror: true");
  LayerHarness unbroken(text, {}, {.tops = 2}), resumed(text, {}, {.tops = 2});
  for (int i = 0; i < 3; ++i) unbroken.forward();
  resumed.layer().seek(unbroken.layer().cursor());
  for (int i = 0; i < 3; ++i) {
    unbroken.forward();
    resumed.forward();
    EXPECT_EQ(values(resumed.top(0).data), values(unbroken.top(0).data));
    EXPECT_EQ(values(resumed.top(1).data), values(unbroken.top(1).data));
  }
}

TEST_F(WindowDataLayer, NamesWhatIsWrong) {
  const auto refused = [&](const std::string& window_data, const std::string& transform) {
    return error_of([&] { LayerHarness(layer(window_data, transform), {}, {.tops = 2}); });
  };
  EXPECT_EQ(error_of([] { LayerHarness("type: 'WindowData'", {}, {.tops = 2}); }),
            "source is missing");
  EXPECT_EQ(refused("", ""), "batch_size must be at least 1");
  EXPECT_TRUE(contains(refused("batch_size: 1", ""), "WindowData needs a crop_size"));
  EXPECT_EQ(refused("batch_size: 1 context_pad: 2", "crop_size: 4"),
            "context_pad 2 leaves nothing of crop_size 4");
  EXPECT_TRUE(contains(refused("batch_size: 1 crop_mode: 'wrap'", "crop_size: 4"),
                       "crop_mode 'wrap' is unknown; did you mean 'warp'?"));
  EXPECT_EQ(refused("batch_size: 1", "crop_size: 4 views: 2"),
            "WindowData gives one view of a window");
  EXPECT_TRUE(contains(refused("batch_size: 1 fg_fraction: 2", "crop_size: 4"), "is out of range"));
  EXPECT_TRUE(contains(refused("batch_size: 1", "crop_size: 4 mean_value: 1 mean_file: 'x'"),
                       "exclude each other"));
  EXPECT_TRUE(contains(refused("batch_size: 1", "crop_size: 4 mean_value: [1, 2]"),
                       "2 values of mean_value for 3 channels"));
  EXPECT_TRUE(contains(refused("batch_size: 4 fg_threshold: 1.5", "crop_size: 4"),
                       "has no window with an overlap of fg_threshold 1.5 and more"));
  EXPECT_TRUE(contains(refused("batch_size: 4 bg_threshold: 0", "crop_size: 4"),
                       "has no window with an overlap below bg_threshold 0"));
  folder.write("windows.txt", "# 0 a.png 3 8 8 1 1 0.9 1 1 8 4\n");
  LayerHarness outside(layer("batch_size: 1 fg_fraction: 1", "crop_size: 4"), {}, {.tops = 2});
  EXPECT_EQ(error_of([&] { outside.forward(); }),
            "window (1, 1, 8, 4) of " + folder / "a.png" +
                ": the window is not in the image of 8 x 8 pixels");
}

}  // namespace
}  // namespace doppio
