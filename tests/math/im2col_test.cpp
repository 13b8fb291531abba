#include "math/im2col.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace doppio {
namespace {

using Floats = std::vector<float>;

Windows windows_of(const std::vector<WindowAxis>& axes) {
  Windows w;
  w.axes = static_cast<Index>(axes.size());
  for (std::size_t i = 0; i < axes.size(); ++i) {
    w.axis[i] = axes[i];
    w.axis[i].out = (axes[i].in + 2 * axes[i].pad - axes[i].span()) / axes[i].stride + 1;
  }
  return w;
}

using Copy = void (*)(Context&, Index, const Windows&, const float*, float*);

Floats columns(Copy copy, Index channels, const Windows& w, const Floats& image) {
  Context ctx;
  Floats column(static_cast<std::size_t>(channels * w.kernel_count() * w.out_count()), -1.0f);
  copy(ctx, channels, w, image.data(), column.data());
  return column;
}

Floats image_of(Copy gather, Index channels, const Windows& w, const Floats& column) {
  Context ctx;
  Floats image(static_cast<std::size_t>(channels * w.in_count()), -1.0f);
  gather(ctx, channels, w, column.data(), image.data());
  return image;
}

/// 1, 2, ... 101, 1, ...: small enough for exact sums.
Floats counting(Index n) {
  Floats v(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(i % 101 + 1);
  return v;
}

TEST(Im2col, CopiesWindowsIntoColumns) {
  const Windows w = windows_of({{.in = 3, .kernel = 2}, {.in = 3, .kernel = 2}});
  const Floats image = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  const Floats expected = {1, 2, 4, 5, 2, 3, 5, 6, 4, 5, 7, 8, 5, 6, 8, 9};
  EXPECT_EQ(columns(im2col, 1, w, image), expected);
  EXPECT_EQ(columns(im2col_nd, 1, w, image), expected);
}

TEST(Im2col, ReadsZerosInThePadding) {
  const Windows w = windows_of({{.in = 3, .kernel = 2, .pad = 1, .stride = 2, .dilation = 2}});
  // Windows start at -1 and 1 and take every second element.
  EXPECT_EQ(columns(im2col, 1, w, {1, 2, 3}), (Floats{0, 2, 2, 0}));
}

TEST(Im2col, WithoutAxesIsACopy) {
  EXPECT_EQ(columns(im2col, 3, Windows{}, {1, 2, 3}), (Floats{1, 2, 3}));
  EXPECT_EQ(image_of(col2im, 3, Windows{}, {1, 2, 3}), (Floats{1, 2, 3}));
}

TEST(Col2im, SumsWhatOverlaps) {
  const Windows w = windows_of({{.in = 3, .kernel = 2}, {.in = 3, .kernel = 2}});
  const Floats ones(16, 1.0f), expected = {1, 2, 1, 2, 4, 2, 1, 2, 1};
  EXPECT_EQ(image_of(col2im, 1, w, ones), expected);
  EXPECT_EQ(image_of(col2im_nd, 1, w, ones), expected);
}

TEST(Col2im, WritesZeroWhereNoWindowReaches) {
  const Windows w = windows_of({{.in = 5, .kernel = 1, .stride = 3}});
  EXPECT_EQ(image_of(col2im, 1, w, {7, 8}), (Floats{7, 0, 0, 8, 0}));
}

class Im2colGeometry : public testing::TestWithParam<std::vector<WindowAxis>> {};
using Axes = std::vector<WindowAxis>;
INSTANTIATE_TEST_SUITE_P(Geometries, Im2colGeometry,
                         testing::Values(Axes{{7, 3, 1, 1, 1}, {5, 3, 1, 1, 1}},
                                         Axes{{11, 3, 0, 2, 2}, {8, 2, 3, 3, 1}},
                                         Axes{{9, 2, 1, 4, 3}, {6, 4, 2, 2, 2}},
                                         Axes{{3, 1, 2, 2, 1}, {3, 5, 2, 1, 1}},
                                         Axes{{4, 2, 1, 1, 1}, {150, 3, 2, 1, 1}},
                                         Axes{{4, 3, 1, 1, 1}, {200, 5, 1, 3, 2}}));

TEST_P(Im2colGeometry, TwoAxesEqualAnyNumberOfAxes) {
  const Windows w = windows_of(GetParam());
  const Floats image = counting(2 * w.in_count());
  EXPECT_EQ(columns(im2col, 2, w, image), columns(im2col_nd, 2, w, image));
  const Floats column = counting(2 * w.kernel_count() * w.out_count());
  EXPECT_EQ(image_of(col2im, 2, w, column), image_of(col2im_nd, 2, w, column));
}

TEST_P(Im2colGeometry, GatheringIsTheAdjointOfCopying) {
  const Windows w = windows_of(GetParam());
  const Floats image = counting(2 * w.in_count());
  const Floats column = counting(2 * w.kernel_count() * w.out_count());
  const Floats copied = columns(im2col, 2, w, image), gathered = image_of(col2im, 2, w, column);
  const double in_columns = std::inner_product(copied.begin(), copied.end(), column.begin(), 0.0);
  const double in_image = std::inner_product(image.begin(), image.end(), gathered.begin(), 0.0);
  EXPECT_GT(in_columns, 0);
  EXPECT_DOUBLE_EQ(in_columns, in_image);
}

}  // namespace
}  // namespace doppio
