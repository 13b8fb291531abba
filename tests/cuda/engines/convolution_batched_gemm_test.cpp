#include "cuda/engines/convolution_operands.hpp"

namespace doppio {

class BatchedGemm : public GpuTest {};

TEST_F(BatchedGemm, AgreesWithOneImageAtATime) {
  for (const ConvolutionGeometry& g : kGeometries)
    for (const Index floats : {1, 3000, 1 << 20}) {  // of the workspace: one image, some, all
      Operands expected(g), actual(g);
      expected.run(*ctx, *make_gemm_convolution(g));
      actual.run(*ctx, *make_batched_gemm_convolution(g, floats));
      for (std::size_t i = 0; i < expected.results().size(); ++i)
        EXPECT_EQ(values(*actual.results()[i]), values(*expected.results()[i]))
            << g.text() << ", result " << i << ", " << floats << " floats";
    }
}

TEST_F(BatchedGemm, DoesTheReluBehindIt) {
  const ConvolutionGeometry& g = kGeometries[1];
  Operands expected(g), actual(g);
  const auto apart = make_gemm_convolution(g), fused = make_batched_gemm_convolution(g);
  apart->forward(*ctx, expected.x, expected.weight, &expected.bias, expected.y);
  float* y = expected.y.update_host();
  float* dy = expected.dy.update_host();
  for (Index i = 0; i < expected.y.count(); ++i)
    if (y[i] <= 0) y[i] = dy[i] = 0;
  apart->backward_data(*ctx, expected.dy, expected.weight, expected.dx);
  apart->backward_params(*ctx, expected.x, expected.dy, &expected.dweight, &expected.dbias);

  ASSERT_EQ(fused->fuse(kRelu, actual.y, true), 1u);
  actual.run(*ctx, *fused);
  for (std::size_t i = 0; i < expected.results().size(); ++i)
    EXPECT_EQ(values(*actual.results()[i]), values(*expected.results()[i])) << "result " << i;
}

TEST_F(BatchedGemm, DoesTheReluBehindOneByOneToo) {
  const ConvolutionGeometry& g = kGeometries[3];
  Operands expected(g), actual(g);
  ASSERT_TRUE(g.windows.is_identity());
  make_gemm_convolution(g)->forward(*ctx, expected.x, expected.weight, &expected.bias, expected.y);
  const auto fused = make_batched_gemm_convolution(g);
  ASSERT_EQ(fused->fuse(kRelu, actual.y, true), 1u);
  actual.run(*ctx, *fused);
  std::vector<float> y = values(expected.y), dy = values(expected.dy);
  for (std::size_t i = 0; i < y.size(); ++i)
    if (y[i] <= 0) y[i] = dy[i] = 0;
  EXPECT_EQ(values(actual.y), y);
  EXPECT_EQ(values(actual.dy), dy) << "as Caffe's ReLU in place leaves it";
}

TEST_F(BatchedGemm, IsTheReference) {
  const auto engines = convolution_engines();
  EXPECT_EQ(std::string(engines[engines.size() - 2].name), "gemm") << "before the general one";
  ConvolutionGeometry nd = kGeometries[0];
  nd.force_nd_im2col = true;
  EXPECT_NE(why_not_batched_gemm_convolution(nd), "");
  EXPECT_NE(make_convolution_engine("conv1", nd, "gemm"), nullptr);
  ConvolutionGeometry empty = kGeometries[1];
  empty.windows.axis[0].in = 0;
  EXPECT_NE(make_convolution_engine("conv1", empty), nullptr);
}

}  // namespace doppio
