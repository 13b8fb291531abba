#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "core/cpu.hpp"
#include "doppio/error.hpp"
#include "layers/convolution/engine.hpp"
#include "support/layer_harness.hpp"

namespace doppio {
namespace {

ConvolutionGeometry geometry(Index batch, Index channels, Index num_output, Index group,
                             std::vector<WindowAxis> axes, bool bias = true) {
  ConvolutionGeometry g;
  g.batch = batch;
  g.channels = channels;
  g.num_output = num_output;
  g.group = group;
  g.bias = bias;
  g.four_axes = axes.size() == 2;
  g.windows.axes = static_cast<Index>(axes.size());
  for (std::size_t i = 0; i < axes.size(); ++i) {
    axes[i].out = (axes[i].in + 2 * axes[i].pad - axes[i].span()) / axes[i].stride + 1;
    g.windows.axis[i] = axes[i];
  }
  return g;
}

/// A convolution's operands, filled with small whole numbers so that sums are exact in any order.
struct Operands {
  explicit Operands(const ConvolutionGeometry& g) {
    const auto& axis = g.windows.axis;
    if (g.four_axes) {
      x.reshape({g.batch, g.channels, axis[0].in, axis[1].in});
      y.reshape({g.batch, g.num_output, axis[0].out, axis[1].out});
    } else {
      x.reshape({g.batch, g.channels, g.windows.in_count()});
      y.reshape({g.batch, g.num_output, g.windows.out_count()});
    }
    weight.reshape(g.weight_shape());
    bias.reshape({g.num_output});
    dx.reshape(x.shape());
    dy.reshape(y.shape());
    dweight.reshape(weight.shape());
    dbias.reshape(bias.shape());
    int seed = 1;
    for (Tensor* t : {&x, &weight, &bias, &dy, &dweight, &dbias}) {
      float* v = t->write_host();
      for (Index i = 0; i < t->count(); ++i) v[i] = static_cast<float>((i * 7 + seed) % 11 - 5);
      ++seed;
    }
  }
  Tensor x, y, weight, bias, dx, dy, dweight, dbias;
};

void run(ConvolutionEngine& engine, const ConvolutionGeometry& g, Operands& o) {
  Context ctx;
  // Scratch memory holds what was there before: nothing may rely on zeros in it.
  float* scratch = ctx.workspace(1 << 16);
  std::fill(scratch, scratch + (1 << 16), 1e30f);
  engine.forward(ctx, o.x, o.weight, g.bias ? &o.bias : nullptr, o.y);
  engine.backward_data(ctx, o.dy, o.weight, o.dx);
  engine.backward_params(ctx, o.x, o.dy, &o.dweight, g.bias ? &o.dbias : nullptr);
}

/// The definition: calls multiply(image, output, window, channel, element of x, element of weight)
/// for every product of a convolution over two axes.
template <class F>
void for_each_product(const ConvolutionGeometry& g, F multiply) {
  const WindowAxis &h = g.windows.axis[0], &w = g.windows.axis[1];
  const Index C = g.channels / g.group, M = g.num_output / g.group;
  for (Index n = 0; n < g.batch; ++n)
    for (Index o = 0; o < g.num_output; ++o)
      for (Index oh = 0; oh < h.out; ++oh)
        for (Index ow = 0; ow < w.out; ++ow)
          for (Index c = 0; c < C; ++c)
            for (Index kh = 0; kh < h.kernel; ++kh)
              for (Index kw = 0; kw < w.kernel; ++kw) {
                const Index ih = oh * h.stride - h.pad + kh * h.dilation;
                const Index iw = ow * w.stride - w.pad + kw * w.dilation;
                if (ih < 0 || ih >= h.in || iw < 0 || iw >= w.in) continue;
                const Index channel = o / M * C + c;
                multiply(((n * g.channels + channel) * h.in + ih) * w.in + iw,
                         ((o * C + c) * h.kernel + kh) * w.kernel + kw,
                         ((n * g.num_output + o) * h.out + oh) * w.out + ow);
              }
}

/// Results by the definition, in place of an engine's.
void run_by_definition(const ConvolutionGeometry& g, Operands& o) {
  const float *x = o.x.read_host(), *weight = o.weight.read_host(), *dy = o.dy.read_host();
  float *y = o.y.update_host(), *dx = o.dx.update_host(), *dweight = o.dweight.update_host();
  for_each_product(g, [&](Index in, Index k, Index out) {
    y[out] += weight[k] * x[in];
    dx[in] += weight[k] * dy[out];
    dweight[k] += x[in] * dy[out];
  });
  if (!g.bias) return;
  const float* bias = o.bias.read_host();
  float* dbias = o.dbias.update_host();
  for (Index i = 0; i < o.y.count(); ++i) {
    const Index output = i / g.windows.out_count() % g.num_output;
    y[i] += bias[output];
    dbias[output] += dy[i];
  }
}

struct Case {
  const char* name;
  ConvolutionGeometry geometry;
};

const Case kCases[] = {
    {"plain", geometry(2, 16, 24, 1, {{9, 3}, {8, 3}})},
    {"one_image", geometry(1, 8, 8, 1, {{5, 3, 1}, {5, 3, 1}})},
    {"first_layer_of_alexnet", geometry(2, 3, 32, 1, {{35, 11, 0, 4}, {39, 11, 0, 4}})},
    {"padded_image", geometry(3, 3, 24, 1, {{9, 3, 1, 2}, {20, 3, 1}})},
    {"grey_image", geometry(34, 1, 16, 1, {{28, 5}, {28, 5, 0, 1, 2}})},
    {"maps_that_cannot_be_blocked", geometry(3, 20, 50, 1, {{12, 5}, {9, 5, 1}})},
    {"channels_to_fill_up", geometry(3, 13, 20, 1, {{12, 3, 1}, {9, 3}})},
    {"few_outputs", geometry(2, 3, 5, 1, {{7, 3, 1, 1, 2}, {6, 3, 0}})},
    {"grouped", geometry(3, 32, 48, 2, {{7, 5, 2}, {6, 5, 2}})},
    {"grouped_odd_channels", geometry(2, 6, 9, 3, {{5, 3, 1}, {4, 3, 1}})},
    {"depthwise", geometry(2, 16, 16, 16, {{6, 3, 1}, {6, 3, 1, 2}})},
    {"odd_channels", geometry(2, 5, 13, 1, {{6, 3, 1}, {7, 3, 1}})},
    {"rectangular", geometry(2, 8, 16, 1, {{5, 1, 0, 2}, {9, 4, 2, 1}})},
    {"dilated", geometry(2, 8, 8, 1, {{9, 3, 2, 1, 2}, {11, 3, 0, 1, 3}})},
    {"dilated_and_strided", geometry(2, 8, 8, 1, {{9, 3, 2, 2, 2}, {11, 3, 2, 2, 2}})},
    {"one_by_one", geometry(2, 24, 16, 1, {{5, 1}, {3, 1}})},
    {"one_by_one_strided", geometry(2, 8, 16, 1, {{5, 1, 0, 2}, {6, 1, 0, 2}})},
    {"more_padding_than_kernel", geometry(1, 8, 8, 1, {{3, 2, 3}, {3, 2, 4}})},
    {"without_bias", geometry(2, 8, 8, 1, {{5, 3}, {5, 3}}, false)},
    {"in_many_pieces", geometry(18, 8, 8, 1, {{256, 1, 0, 4}, {255, 2, 0, 4}})},
    {"a_prime_number_of_images", geometry(13, 8, 8, 1, {{256, 1, 0, 4}, {255, 2, 0, 4}})},
};

/// Winograd's algorithm rounds where the others are exact on whole numbers.
void expect_results(const Operands& actual, const Operands& expected, const std::string& engine) {
  const auto expect_tensor = [&](const Tensor& a, const Tensor& e) {
    if (engine == "winograd" || engine == "padded") return expect_values(a, values(e), 2e-2f);
    EXPECT_EQ(values(a), values(e));
  };
  expect_tensor(actual.y, expected.y);
  expect_tensor(actual.dx, expected.dx);
  expect_tensor(actual.dweight, expected.dweight);
  expect_tensor(actual.dbias, expected.dbias);
}

class EngineTest : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Geometries, EngineTest, testing::ValuesIn(kCases),
                         [](const auto& one) { return one.param.name; });

TEST_P(EngineTest, EveryEngineMatchesTheDefinition) {
  const ConvolutionGeometry& g = GetParam().geometry;
  Operands expected(g);
  run_by_definition(g, expected);
  for (const ConvolutionEngineEntry& entry : convolution_engines()) {
    SCOPED_TRACE(entry.name);
    if (!entry.why_not(g).empty()) continue;
    Operands actual(g);
    run(*entry.make(g), g, actual);
    expect_results(actual, expected, entry.name);
  }
}

const Follower kRelu[] = {{.relu = true}};

TEST_P(EngineTest, KeptWeightsFollowTheirTensor) {
  const ConvolutionGeometry& g = GetParam().geometry;
  for (const ConvolutionEngineEntry& entry : convolution_engines()) {
    SCOPED_TRACE(entry.name);
    if (!entry.why_not(g).empty()) continue;
    Context ctx;
    const auto keeping = entry.make(g);
    EXPECT_EQ(keeping->cached_weights(), 0);
    const bool keeps = keeping->cache_weights();
    EXPECT_EQ(keeps, keeping->cached_weights() > 0);
    Operands o(g), other(g);
    const Tensor* bias = g.bias ? &o.bias : nullptr;
    const auto expect_right = [&](const Tensor& weight, const char* what) {
      keeping->forward(ctx, o.x, weight, bias, o.y);
      entry.make(g)->forward(ctx, o.x, weight, bias, other.y);
      EXPECT_EQ(values(o.y), values(other.y)) << what;
    };
    expect_right(o.weight, "first");
    expect_right(o.weight, "kept");
    o.weight.update_host()[1] += 3;
    expect_right(o.weight, "edited");
    keeping->backward_data(ctx, o.dy, o.weight, o.dx);
    keeping->backward_params(ctx, o.x, o.dy, &o.dweight, nullptr);
    expect_right(o.weight, "after backward passes");
    other.weight.write_host()[0] = 7;
    expect_right(other.weight, "of another tensor");
    expect_right(o.weight, "back again");
    keeping->fuse(kRelu, o.y, false);
    keeping->forward(ctx, o.x, o.weight, bias, o.y);
    o.weight.update_host()[0] -= 2;
    const std::vector<float> before = values(o.y);
    keeping->forward(ctx, o.x, o.weight, bias, o.y);
    EXPECT_NE(values(o.y), before) << "edited, with a ReLU";
  }
}

TEST_P(EngineTest, ASumComesBeforeTheRelu) {
  const ConvolutionGeometry& g = GetParam().geometry;
  for (const ConvolutionEngineEntry& entry : convolution_engines()) {
    SCOPED_TRACE(entry.name);
    if (!entry.why_not(g).empty()) continue;
    Context ctx;
    const auto engine = entry.make(g);
    Operands o(g), sum(g);
    const Tensor* bias = g.bias ? &o.bias : nullptr;
    entry.make(g)->forward(ctx, o.x, o.weight, bias, o.y);
    std::vector<float> unfused = values(o.y), expected = values(o.dy), rectified;
    for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += unfused[i];
    for (const float v : expected) rectified.push_back(std::max(v, 0.0f));
    const Follower both[] = {{.addend = &o.dy}, {.relu = true}};
    const Followers only_sum(both, 1);
    const auto expect = [&](Followers followers, const std::vector<float>& y) {
      EXPECT_EQ(engine->fuse(followers, sum.y, false), followers.size());
      engine->forward(ctx, o.x, o.weight, bias, sum.y);
      EXPECT_EQ(values(sum.y), y);
    };
    if (engine->fuse(only_sum, sum.y, false) == 0) {
      EXPECT_EQ(engine->fuse(both, sum.y, false), 0u) << "a ReLU before the sum";
      continue;
    }
    expect(both, rectified);
    expect({}, unfused);
    expect(only_sum, expected);
    expect(both, rectified);
  }
}

TEST(Engines, OnednnAddsInTheGeometriesOfResidualNets) {
  if (cpu_isa() == Isa::baseline) GTEST_SKIP() << "blocked tensors are for AVX2";
  for (const Index outputs : {64, 256}) {
    const ConvolutionGeometry g = geometry(2, 64, outputs, 1, {{14, 1}, {14, 1}});
    const Operands o(g);
    const Follower sum[] = {{.addend = &o.dy}};
    EXPECT_EQ(make_onednn_convolution(g)->fuse(sum, o.y, false), 1u);
  }
}

double relative_error(const Tensor& actual, const Tensor& exact) {
  const float *a = actual.read_host(), *e = exact.read_host();
  double error = 0, size = 0;
  for (Index i = 0; i < exact.count(); ++i) {
    error += (a[i] - e[i]) * (a[i] - e[i]);
    size += e[i] * e[i];
  }
  return std::sqrt(error / size);
}

/// The operands' whole numbers are exact in bfloat16, and so are their products.
TEST_P(EngineTest, EveryEngineTakesFactorsOfBfloat16) {
  if (!cpu_has_bf16()) GTEST_SKIP() << "this CPU lacks AVX512_BF16";
  ConvolutionGeometry g = GetParam().geometry;
  g.precision = Precision::bfloat16;
  Operands expected(g);
  run_by_definition(g, expected);
  for (const ConvolutionEngineEntry& entry : convolution_engines()) {
    SCOPED_TRACE(entry.name);
    if (!entry.why_not(g).empty()) continue;
    Operands actual(g);
    run(*entry.make(g), g, actual);
    const bool rounds =
        std::string(entry.name) == "winograd" || std::string(entry.name) == "padded";
    if (!rounds) {
      expect_results(actual, expected, entry.name);
      continue;
    }
    // 1 % on noise (winograd_test); the sums of these periodic values are smaller than noise's.
    EXPECT_LT(relative_error(actual.y, expected.y), 0.04);
    EXPECT_LT(relative_error(actual.dx, expected.dx), 0.04);
    EXPECT_LT(relative_error(actual.dweight, expected.dweight), 0.04);
    if (g.bias) {
      EXPECT_LT(relative_error(actual.dbias, expected.dbias), 1e-5);
    }
  }
}

TEST(Engines, OnednnRoundsFactorsToBfloat16) {
  if (!cpu_has_bf16()) GTEST_SKIP() << "this CPU lacks AVX512_BF16";
  ConvolutionGeometry g = geometry(2, 3, 32, 1, {{35, 11, 0, 4}, {39, 11, 0, 4}}, false);
  g.precision = Precision::bfloat16;
  Operands o(g);
  o.x.write_host()[0] = 1 + 1 / 512.0f;  // the nearest bfloat16 is 1
  for (Index i = 1; i < o.x.count(); ++i) o.x.update_host()[i] = 0;
  Context ctx;
  make_onednn_convolution(g)->forward(ctx, o.x, o.weight, nullptr, o.y);
  EXPECT_EQ(o.y.read_host()[0], o.weight.read_host()[0]);
}

TEST(Engines, TakeOtherNumbersOfAxesToo) {
  for (const std::vector<WindowAxis>& axes :
       {std::vector<WindowAxis>{{9, 3, 1, 2}},
        std::vector<WindowAxis>{{4, 3, 1}, {5, 1, 0, 2}, {6, 2}}}) {
    const ConvolutionGeometry g = geometry(2, 8, 16, 2, axes);
    Operands expected(g);
    run(*make_gemm_convolution(g), g, expected);
    ASSERT_EQ(why_not_onednn_convolution(g), "");
    Operands actual(g);
    run(*make_onednn_convolution(g), g, actual);
    EXPECT_EQ(values(actual.y), values(expected.y));
    EXPECT_EQ(values(actual.dx), values(expected.dx));
    EXPECT_EQ(values(actual.dweight), values(expected.dweight));
    EXPECT_EQ(values(actual.dbias), values(expected.dbias));
  }
}

TEST(Engines, OnednnTakesTheGeometriesOfAlexnet) {
  const std::set<std::string> needed = {"plain", "grouped", "first_layer_of_alexnet"};
  for (const Case& c : kCases) {
    if (!needed.count(c.name)) continue;
    EXPECT_EQ(why_not_onednn_convolution(c.geometry), "") << c.name;
  }
}

TEST(Engines, OnednnSaysWhyNot) {
  EXPECT_EQ(why_not_onednn_convolution(geometry(2, 3, 4, 1, {})),
            "it supports only 1 to 3 spatial axes");
  EXPECT_EQ(why_not_onednn_convolution(geometry(0, 3, 4, 1, {{5, 3}, {5, 3}})),
            "the bottom is empty");
  ConvolutionGeometry nd = geometry(2, 3, 4, 1, {{5, 3}, {5, 3}});
  nd.force_nd_im2col = true;
  EXPECT_EQ(why_not_onednn_convolution(nd), "force_nd_im2col asks for im2col");
}

TEST(Engines, AForcedEngineThatCannotSaysWhy) {
  const ConvolutionGeometry g = geometry(2, 3, 4, 1, {});
  EXPECT_NE(make_convolution_engine("conv1", g), nullptr);
  EXPECT_ERROR(make_convolution_engine("conv1", g, "onednn"),
               "engine onednn cannot be used: it supports only 1 to 3 spatial axes");
}

TEST(Engines, AForcedEngineOfAnotherDeviceSaysSo) {
  const ConvolutionGeometry g = geometry(2, 3, 4, 1, {{5, 3}, {5, 3}});
  EXPECT_ERROR(make_convolution_engine("conv1", g, "cudnn"),
               "engine cudnn does not run on this device");
}

TEST(Engines, GeometryAsText) {
  EXPECT_EQ(geometry(64, 96, 256, 2, {{27, 5, 2}, {27, 5, 2}}).text(),
            "64 x 96 x 27 x 27 -> 256, kernel 5 x 5, stride 1 x 1, pad 2 x 2, dilation 1 x 1, "
            "group 2");
  EXPECT_EQ(geometry(2, 3, 4, 1, {}).text(), "2 x 3 -> 4");
}

}  // namespace
}  // namespace doppio
