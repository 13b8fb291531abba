#include "layers/convolution/winograd/winograd.hpp"

#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "core/cpu.hpp"
#include "doppio/context.hpp"
#include "doppio/error.hpp"
#include "layers/convolution/winograd/winograd_matrices.hpp"

namespace doppio {

extern const WinogradKernels kWinogradWide;  // 16 lanes on AVX2

namespace {

using Values = std::vector<float>;

ConvolutionGeometry geometry(Index batch, Index channels, Index num_output, Index group,
                             WindowAxis h, WindowAxis w) {
  ConvolutionGeometry g;
  g.batch = batch;
  g.channels = channels;
  g.num_output = num_output;
  g.group = group;
  g.four_axes = true;
  g.windows.axes = 2;
  for (WindowAxis* a : {&h, &w}) a->out = a->in + 2 * a->pad - a->kernel + 1;
  g.windows.axis[0] = h;
  g.windows.axis[1] = w;
  return g;
}

Values noise(Index count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Values v(static_cast<std::size_t>(count));
  for (float& value : v) value = normal(random);
  return v;
}

/// Operands and results of all three passes, blocked by `lanes`.
struct Passes {
  explicit Passes(const ConvolutionGeometry& g)
      : x(noise(g.batch * g.channels * g.windows.in_count(), 1)),
        weight(noise(g.weight_shape().count(), 2)),
        bias(noise(g.num_output, 3)),
        dy(noise(g.batch * g.num_output * g.windows.out_count(), 4)),
        y(dy.size()),
        dx(x.size()),
        dweight(weight.size(), 1.0f),
        dbias(bias.size(), 1.0f) {}

  /// `rectify` fuses a ReLU into all passes.
  void compute(const WinogradConvolution& c, bool rectify = false) {
    const Index floats =
        std::max({c.forward_scratch(), c.backward_data_scratch(), c.backward_params_scratch()});
    // Nothing may rely on zeros in scratch memory.
    Context ctx;
    float* scratch = ctx.workspace(floats);
    std::fill(scratch, scratch + floats, 1e30f);
    c.forward(x.data(), weight.data(), bias.data(), rectify, y.data(), scratch);
    const float* mask = rectify ? y.data() : nullptr;
    c.backward_data(dy.data(), mask, weight.data(), dx.data(), scratch);
    c.backward_params(x.data(), dy.data(), mask, dweight.data(), dbias.data(), scratch);
  }

  Values x, weight, bias, dy, y, dx, dweight, dbias;
};

/// The same by the definition, in double.
struct Exact {
  Exact(const ConvolutionGeometry& g, Index lanes, const Passes& run, bool rectify)
      : y(run.y.size()),
        dx(run.x.size()),
        dweight(run.weight.size(), 1.0),
        dbias(run.bias.size(), 1.0) {
    std::vector<double> dy(run.dy.begin(), run.dy.end());
    for_each_product(g, lanes, [&](Index in, Index k, Index out) {
      y[at(out)] += double{run.x[at(in)]} * run.weight[at(k)];
    });
    const Index out_map = g.windows.out_count();
    for (Index i = 0; i < static_cast<Index>(y.size()); ++i) {
      const Index o = i / (out_map * lanes) % (g.num_output / lanes) * lanes + i % lanes;
      y[at(i)] += run.bias[at(o)];
      if (rectify && y[at(i)] <= 0) y[at(i)] = dy[at(i)] = 0;
      dbias[at(o)] += dy[at(i)];
    }
    for_each_product(g, lanes, [&](Index in, Index k, Index out) {
      dx[at(in)] += dy[at(out)] * run.weight[at(k)];
      dweight[at(k)] += dy[at(out)] * run.x[at(in)];
    });
  }

  static std::size_t at(Index i) { return static_cast<std::size_t>(i); }

  /// multiply(element of x, of weight, of y) for every product.
  template <class F>
  static void for_each_product(const ConvolutionGeometry& g, Index lanes, F multiply) {
    const WindowAxis &h = g.windows.axis[0], &w = g.windows.axis[1];
    const Index C = g.channels / g.group, M = g.num_output / g.group;
    const auto blocked =
        [lanes](Index n, Index c, Index channels, const Index H, Index W, Index i, Index j) {
      return (((n * channels + c) / lanes * H + i) * W + j) * lanes + c % lanes;
    };
    for (Index n = 0; n < g.batch; ++n)
      for (Index o = 0; o < g.num_output; ++o)
        for (Index c = 0; c < C; ++c)
          for (Index kh = 0; kh < h.kernel; ++kh)
            for (Index kw = 0; kw < w.kernel; ++kw)
              for (Index oh = 0; oh < h.out; ++oh)
                for (Index ow = 0; ow < w.out; ++ow) {
                  const Index ih = oh - h.pad + kh, iw = ow - w.pad + kw;
                  if (ih < 0 || ih >= h.in || iw < 0 || iw >= w.in) continue;
                  multiply(blocked(n, o / M * C + c, g.channels, h.in, w.in, ih, iw),
                           ((o * C + c) * h.kernel + kh) * w.kernel + kw,
                           blocked(n, o, g.num_output, h.out, w.out, oh, ow));
                }
  }

  std::vector<double> y, dx, dweight, dbias;
};

/// Root mean square of the error over that of the exact values.
double relative_error(const Values& actual, const std::vector<double>& exact) {
  double error = 0, size = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    error += (actual[i] - exact[i]) * (actual[i] - exact[i]);
    size += exact[i] * exact[i];
  }
  return std::sqrt(error / size);
}

WinogradConvolution with_tiles(const ConvolutionGeometry& g, const WinogradKernels& kernels,
                               int outputs) {
  return WinogradConvolution(winograd_forward(g, kernels, outputs),
                             winograd_backward_data(g, kernels, outputs),
                             winograd_backward_params(g, kernels, outputs), kernels);
}

std::vector<int> tile_sizes(Index kernel) {
  return kernel == 3 ? std::vector<int>{2, 4, 6} : std::vector<int>{2, 4};
}

struct Case {
  const char* name;
  ConvolutionGeometry geometry;
};

const Case kCases[] = {
    {"small", geometry(1, 16, 16, 1, {5, 3, 1}, {5, 3, 1})},
    {"less_than_a_tile", geometry(2, 16, 16, 1, {3, 3}, {3, 3})},
    {"one_pixel", geometry(2, 16, 16, 1, {1, 5, 2}, {1, 5, 2})},
    {"no_padding", geometry(5, 16, 32, 1, {9, 3}, {8, 3})},
    {"mosaic", geometry(5, 16, 16, 1, {13, 3, 1}, {13, 3, 1})},
    {"mosaic_with_a_rest", geometry(11, 16, 16, 1, {7, 3, 1}, {6, 3, 1})},
    {"groups", geometry(3, 64, 96, 2, {7, 5, 2}, {6, 5, 2})},
    {"four_groups", geometry(1, 64, 64, 4, {6, 3, 1}, {9, 3, 1})},
    {"an_odd_number_of_blocks", geometry(2, 48, 80, 1, {6, 3, 1}, {5, 3, 1})},
    {"large_map", geometry(1, 16, 16, 1, {29, 5, 2}, {27, 5, 2})},
    {"more_padding_than_kernel", geometry(2, 16, 16, 1, {6, 3, 4}, {7, 3, 3})},
    {"padding_of_five", geometry(3, 16, 16, 1, {9, 5, 4}, {5, 5, 3})},
    {"different_padding", geometry(2, 16, 16, 1, {5, 5, 1}, {9, 5, 0})},
    {"many_images", geometry(130, 16, 16, 1, {4, 3, 1}, {4, 3, 1})},
    {"many_chunks", geometry(9, 16, 16, 1, {24, 3, 1}, {24, 3, 1})},
};

class WinogradTest : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (cpu_isa() == Isa::baseline) GTEST_SKIP() << "this CPU lacks AVX2";
  }
};
INSTANTIATE_TEST_SUITE_P(Geometries, WinogradTest, testing::ValuesIn(kCases),
                         [](const auto& one) { return one.param.name; });

TEST_P(WinogradTest, IsAccurateWithEveryTileSize) {
  const ConvolutionGeometry& g = GetParam().geometry;
  for (const WinogradKernels* kernels : {&kWinogradAvx2, &kWinogradWide}) {
    ASSERT_EQ(why_not_winograd(g, *kernels), "");
    Passes run(g);
    const Exact exact(g, kernels->lanes, run, false);
    for (const int outputs : tile_sizes(g.windows.axis[0].kernel)) {
      SCOPED_TRACE(str(kernels->lanes, " lanes, tiles of ", outputs));
      run = Passes(g);
      run.compute(with_tiles(g, *kernels, outputs));
      EXPECT_LT(relative_error(run.y, exact.y), 1e-5);
      EXPECT_LT(relative_error(run.dx, exact.dx), 1e-5);
      EXPECT_LT(relative_error(run.dweight, exact.dweight), 1e-5);
      EXPECT_LT(relative_error(run.dbias, exact.dbias), 1e-6);
    }
  }
}

void expect_same_with_two_threads(const ConvolutionGeometry& g, const WinogradKernels& kernels) {
  const WinogradConvolution convolution(g, kernels);
  Passes one(g), two(g);
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  one.compute(convolution);
  omp_set_num_threads(2);
  two.compute(convolution);
  omp_set_num_threads(threads);
  EXPECT_EQ(one.y, two.y);
  EXPECT_EQ(one.dx, two.dx);
  EXPECT_EQ(one.dweight, two.dweight);
  EXPECT_EQ(one.dbias, two.dbias);
}

TEST_P(WinogradTest, DoesNotDependOnTheNumberOfThreads) {
  expect_same_with_two_threads(GetParam().geometry, kWinogradAvx2);
}

/// A direct convolution of values rounded to bfloat16 is off by 0.2 %.
TEST_P(WinogradTest, IsAccurateToOnePercentInBfloat16) {
  const ConvolutionGeometry& g = GetParam().geometry;
  const WinogradKernels& kernels = kWinogradBf16Avx512;
  if (!cpu_has_bf16()) GTEST_SKIP() << "this CPU lacks AVX512_BF16";
  if (g.windows.axis[0].kernel != 3) return;  // it has no tiles for them
  Passes run(g);
  const Exact exact(g, kernels.lanes, run, false);
  for (const int outputs : {2, 4}) {
    SCOPED_TRACE(str("tiles of ", outputs));
    run = Passes(g);
    run.compute(with_tiles(g, kernels, outputs));
    const double most = outputs == 2 ? 0.005 : 0.015;
    EXPECT_LT(relative_error(run.y, exact.y), most);
    EXPECT_LT(relative_error(run.dx, exact.dx), most);
    EXPECT_LT(relative_error(run.dweight, exact.dweight), most);
    EXPECT_LT(relative_error(run.dbias, exact.dbias), 1e-6);
    EXPECT_GT(relative_error(run.y, exact.y), 0.0005) << "that was not bfloat16";
  }
  expect_same_with_two_threads(g, kernels);
}

TEST_P(WinogradTest, FusesARelu) {
  const ConvolutionGeometry& g = GetParam().geometry;
  for (const WinogradKernels* kernels : {&kWinogradAvx2, &kWinogradWide}) {
    Passes run(g);
    const Exact exact(g, kernels->lanes, run, true);
    run.compute(WinogradConvolution(g, *kernels), true);
    EXPECT_GE(*std::min_element(run.y.begin(), run.y.end()), 0);
    EXPECT_LT(relative_error(run.y, exact.y), 1e-5);
    EXPECT_LT(relative_error(run.dx, exact.dx), 1e-5);
    EXPECT_LT(relative_error(run.dweight, exact.dweight), 1e-5);
    EXPECT_LT(relative_error(run.dbias, exact.dbias), 1e-6);
  }
}

/// The definition: y_k = sum over j of g_j d_(k + j), checked for all unit vectors g and d.
template <int M, int R>
void expect_exact_matrices() {
  constexpr CookToom<M, R> c = cook_toom<M, R>();
  for (int k = 0; k < M; ++k)
    for (int j = 0; j < R; ++j)
      for (int l = 0; l < c.kPoints; ++l) {
        double y = 0;
        for (int i = 0; i < c.kPoints; ++i)
          y += double{c.output[i][k]} * c.filter[i][j] * c.data[i][l];
        EXPECT_NEAR(y, l == k + j, 1e-5) << M << " " << R << ": " << k << j << l;
      }
  for (int k = 0; k < M; ++k) {
    double sum = 0;
    for (int i = 0; i < c.kPoints; ++i) sum += double{c.total[i]} * c.output[i][k];
    EXPECT_NEAR(sum, 1, 1e-6) << M << " " << R << ": " << k;
  }
}

TEST(Winograd, MatricesFollowTheDefinition) {
  expect_exact_matrices<2, 3>();
  expect_exact_matrices<4, 3>();
  expect_exact_matrices<6, 3>();
  expect_exact_matrices<2, 5>();
  expect_exact_matrices<4, 5>();
}

TEST(Winograd, MatricesOfTheSmallestTileAreTheKnownOnes) {
  constexpr CookToom<2, 3> c = cook_toom<2, 3>();
  // Points 0, 1, -1 and infinity.
  const float data[4][4] = {{-1, 0, 1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, -1, 0, 1}};
  const float filter[4][3] = {{-1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
  for (int i = 0; i < 4; ++i) {
    for (int k = 0; k < 4; ++k) EXPECT_EQ(c.data[i][k], data[i][k]);
    for (int k = 0; k < 3; ++k) EXPECT_EQ(c.filter[i][k], filter[i][k]);
  }
}

TEST(Winograd, TilesCoverEveryOutputOnce) {
  for (const Case& one : kCases) {
    SCOPED_TRACE(one.name);
    const WinogradPass pass = winograd_forward(one.geometry, kWinogradAvx2);
    const Index lanes = pass.maps.lanes, outputs = pass.tiling.outputs();
    std::vector<int> seen(one.geometry.batch * pass.maps.out_channels / lanes *
                          pass.maps.out_map() / lanes);
    for (Index t = 0; t < pass.tiling.count(); ++t) {
      const WinogradTile tile = pass.tiling.locate(t);
      for (Index i = 0; i < outputs; ++i)
        for (Index j = 0; j < outputs; ++j) {
          if (tile.out.row[i] < 0 || tile.out.column[j] < 0) continue;
          ++seen.at((tile.out_image + tile.out.row[i] + tile.out.column[j]) / lanes);
        }
    }
    // Tiles place the first block of channels; the others follow at fixed distances.
    const Index map = pass.maps.out_map() / lanes, image = map * pass.maps.out_channels / lanes;
    for (Index i = 0; i < static_cast<Index>(seen.size()); ++i)
      EXPECT_EQ(seen[i], i % image < map) << i;
  }
}

TEST(Winograd, SmallMapsFormMosaics) {
  const ConvolutionGeometry g = geometry(128, 256, 384, 1, {13, 3, 1}, {13, 3, 1});
  const WinogradPass pass = winograd_forward(g, kWinogradAvx2, 6);
  // Three images of 13, two shared rows of padding: 41 rows in 7 tiles of 6.
  EXPECT_EQ(pass.tiling.rows(), 3);
  EXPECT_EQ(pass.tiling.columns(), 3);
  // 14 mosaics of 7 x 7 tiles, and two images in 3 x 5.
  EXPECT_EQ(pass.tiling.count(), 14 * 49 + 15);
}

TEST(Winograd, CostDecidesOnTileSizes) {
  const auto outputs = [](Index size, Index kernel, Index batch) {
    const WindowAxis a{size, kernel, kernel / 2};
    return winograd_forward(geometry(batch, 64, 64, 1, a, a), kWinogradAvx2).transforms->outputs;
  };
  EXPECT_EQ(outputs(56, 3, 16), 6);
  EXPECT_EQ(outputs(2, 3, 1), 2);
  EXPECT_EQ(outputs(27, 5, 16), 4);
}

TEST(Winograd, SaysWhyNot) {
  const WindowAxis three{9, 3, 1}, five{9, 5, 2};
  const auto reason = [](const ConvolutionGeometry& g) {
    return why_not_winograd(g, kWinogradAvx2);
  };
  EXPECT_EQ(reason(geometry(2, 16, 16, 1, three, three)), "");
  EXPECT_EQ(reason(geometry(2, 16, 16, 1, three, five)),
            "it supports only 3 x 3 and 5 x 5 kernels of stride 1");
  EXPECT_EQ(reason(geometry(2, 16, 16, 1, {9, 3, 1, 2}, three)),
            "it supports only 3 x 3 and 5 x 5 kernels of stride 1");
  EXPECT_EQ(reason(geometry(2, 16, 16, 1, {9, 3, 1, 1, 2}, {9, 3, 1, 1, 2})),
            "it supports only 3 x 3 and 5 x 5 kernels of stride 1");
  EXPECT_EQ(reason(geometry(0, 16, 16, 1, three, three)), "the bottom is empty");
  EXPECT_EQ(reason(geometry(2, 16, 16, 4, three, three)),
            "the channels of a group are not multiples of 8");
  EXPECT_EQ(reason(geometry(2, 16, 12, 1, three, three)),
            "the channels of a group are not multiples of 8");
  ConvolutionGeometry g = geometry(2, 16, 16, 1, three, three);
  g.force_nd_im2col = true;
  EXPECT_EQ(reason(g), "force_nd_im2col asks for im2col");
  g.four_axes = false;
  EXPECT_EQ(reason(g), "it supports only N x C x H x W bottoms");
}

TEST(Winograd, OfInferenceTheForwardPassAloneDecides) {
  const WindowAxis small{7, 3, 1}, middle{14, 3, 1};
  for (const bool inference : {false, true}) {
    ConvolutionGeometry g = geometry(1, 256, 256, 1, middle, middle);
    g.inference = inference;
    EXPECT_EQ(why_slower_winograd(g, kWinogradAvx2).empty(), inference);
    g = geometry(1, 512, 512, 1, small, small);
    g.inference = inference;
    EXPECT_NE(why_slower_winograd(g, kWinogradAvx2), "") << "reading the weights takes longer";
  }
}

TEST(Winograd, LeavesToDirectConvolutionWhatThatDoesFaster) {
  const WindowAxis small{4, 3, 1}, conv2{27, 5, 2};
  EXPECT_EQ(why_slower_winograd(geometry(128, 96, 256, 2, conv2, conv2), kWinogradAvx2), "");
  // 16 pixels of 9 x 8 x 8 products, 3.3 times.
  EXPECT_NE(why_slower_winograd(geometry(1, 8, 8, 1, small, small), kWinogradAvx2)
                .find("direct convolution takes 0.0304128 million multiply-adds, this as long as"),
            std::string::npos);
}

}  // namespace
}  // namespace doppio
