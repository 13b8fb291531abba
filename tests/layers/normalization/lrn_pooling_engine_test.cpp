#include "layers/normalization/lrn_pooling_engine.hpp"

#include "support/layer_harness.hpp"

namespace doppio {
namespace {

constexpr Index kImages = 3;

LrnGeometry lrn(Index channels, bool across) {
  return {.across = across,
          .channels = channels,
          .height = 7,
          .width = 5,
          .formula = {.reach = 2, .alpha = 0.5f}};
}

PoolingGeometry pooling(Index channels, PoolingMethod method) {
  return {.method = method,
          .channels = channels,
          .rows = {.size = 7, .windows = 3, .kernel = 3, .stride = 2},
          .cols = {.size = 5, .windows = 2, .kernel = 3, .stride = 2}};
}

std::vector<float> some(Index n, int step) {
  std::vector<float> v(static_cast<std::size_t>(n));
  for (Index i = 0; i < n; ++i)
    v[static_cast<std::size_t>(i)] = static_cast<float>(i * step % 101) / 50 - 1;
  return v;
}

Tensor tensor(const Shape& shape, const std::vector<float>& values) {
  Tensor t;
  t.reshape(shape);
  set_values(t, values);
  return t;
}

TEST(LrnPooling, ByImageGivesWhatBothEnginesGive) {
  for (const bool across : {true, false})
    for (const PoolingMethod method : {PoolingMethod::max, PoolingMethod::average}) {
      const LrnGeometry l = lrn(6, across);
      const PoolingGeometry p = pooling(6, method);
      ASSERT_EQ(why_not_lrn_pooling_by_image(l, p), "");
      Context ctx;
      const Index n = kImages * l.values(), pooled = kImages * p.pooled_values();
      const std::vector<float> x = some(n, 37), dy = some(pooled, 29);
      std::vector<float> between = x, y = dy, dx = x, work = x;
      std::vector<std::uint8_t> argmax(static_cast<std::size_t>(pooled)), fused_argmax = argmax;

      const auto normalize = make_generic_lrn(l);
      const auto pool = make_generic_pooling(p);
      ASSERT_LE(normalize->workspace(kImages), n);
      normalize->forward_maps(ctx, kImages, x.data(), between.data());
      pool->forward_maps(ctx, kImages, between.data(), y.data(), argmax.data());
      pool->backward_maps(ctx, kImages, dy.data(), argmax.data(), between.data());
      normalize->backward_maps(ctx, kImages, x.data(), between.data(), work.data(), dx.data());

      const Shape maps({kImages, 6, 7, 5}), windows({kImages, 6, 3, 2});
      Tensor fused_x = tensor(maps, x), fused_dy = tensor(windows, dy);
      Tensor fused_y = tensor(windows, dy), fused_dx = tensor(maps, x);
      const auto fused = make_lrn_pooling_by_image(l, p);
      fused->forward(ctx, fused_x, fused_y, fused_argmax.data());
      fused->backward(ctx, fused_x, fused_dy, fused_argmax.data(), fused_dx);
      EXPECT_EQ(values(fused_y), y);
      EXPECT_EQ(values(fused_dx), dx);
      EXPECT_EQ(fused_argmax, argmax);
    }
}

TEST(LrnPooling, RefusesWhatDependsOnTheBatchOrOnTheLayout) {
  const Index channels = channel_block();
  const LrnGeometry l = lrn(channels, true);
  EXPECT_NE(why_not_lrn_pooling_by_image(l, pooling(channels, PoolingMethod::draw)), "");
  PoolingGeometry large = pooling(channels, PoolingMethod::max);
  large.rows.kernel = large.cols.kernel = 17;
  EXPECT_NE(why_not_lrn_pooling_by_image(l, large), "") << "LRN may run in blocks, this cannot";
  EXPECT_EQ(why_not_lrn_pooling_by_image(lrn(channels, false), large), "");
  PoolingGeometry reference = pooling(channels, PoolingMethod::max);
  reference.reference = true;
  EXPECT_NE(why_not_lrn_pooling_by_image(l, reference), "");
}

}  // namespace
}  // namespace doppio
