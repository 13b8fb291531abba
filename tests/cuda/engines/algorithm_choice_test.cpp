// How convolutions are computed where cuDNN's search answers this or that.
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "cuda/engines/convolution_operands.hpp"
#include "emulated_cuda/dnn.hpp"
#include "emulated_cuda/launch.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

using cuda::emulated::dnn;

/// No choice is known at first.
class AlgorithmChoice : public GpuTest {
 protected:
  void SetUp() override {
    GpuTest::SetUp();
    if (const char* cache = std::getenv("XDG_CACHE_HOME")) previous_ = cache;
    setenv("XDG_CACHE_HOME", (folder / "cache").c_str(), 1);
  }
  void TearDown() override {
    dnn = {};
    if (previous_.empty())
      unsetenv("XDG_CACHE_HOME");
    else
      setenv("XDG_CACHE_HOME", previous_.c_str(), 1);
  }

  std::filesystem::path file() const {
    for (const auto& entry : std::filesystem::directory_iterator(folder / "cache/doppio"))
      return entry.path();
    return {};
  }

  /// "2 3 0", the choice for a pass: number, math type and layout.
  std::string choice(const std::string& pass, const ConvolutionGeometry& g) const {
    std::ifstream lines(file());
    for (std::string line; std::getline(lines, line);)
      if (const auto at = line.find(" " + pass + " of " + g.text()); at != std::string::npos)
        return line.substr(0, at);
    return "none";
  }

  /// Runs all passes and compares with the gemm engine's results.
  void expect_right(const ConvolutionGeometry& g, bool relu = false) {
    ConvolutionGeometry unrounded = g;
    unrounded.precision = Precision::float32;
    const auto engine = make_cudnn_convolution(g),
               reference = make_batched_gemm_convolution(unrounded);
    Operands actual(g), expected(g);
    if (relu) {
      engine->fuse(kRelu, actual.y, true);
      reference->fuse(kRelu, expected.y, true);
    }
    actual.run(*ctx, *engine);
    expected.run(*ctx, *reference);
    for (std::size_t i = 0; i < expected.results().size(); ++i)
      EXPECT_EQ(values(*actual.results()[i]), values(*expected.results()[i])) << "result " << i;
  }

  static int count(const std::string& what) {
    const auto& all = cuda::emulated::journal();
    const auto at = all.find(what);
    return at == all.end() ? 0 : at->second;
  }

  ScratchFolder folder;

 private:
  std::string previous_;
};

const ConvolutionGeometry kConvolution = kGeometries[1];

ConvolutionGeometry with(Precision precision) {
  ConvolutionGeometry g = kConvolution;
  g.precision = precision;
  return g;
}

TEST_F(AlgorithmChoice, IsTheSameEveryTimeAndFits) {
  expect_right(kConvolution);
  for (const char* pass : {"forward", "backward to the data", "backward to the weights"})
    EXPECT_EQ(choice(pass, kConvolution)[0], '2') << pass;
}

/// 1 + 2^-12 times itself: what TF32 makes of it is 1.
float product_of_fine_factors(Context& ctx, Precision precision) {
  ConvolutionGeometry g = geometry(1, 1, 1, 1, {1, 1}, {1, 1});
  g.precision = precision;
  Operands operands(g);
  for (Tensor* t : {&operands.x, &operands.weight}) set_values(*t, {1 + 0x1p-12f});
  set_values(operands.bias, {0});
  make_cudnn_convolution(g)->forward(ctx, operands.x, operands.weight, &operands.bias, operands.y);
  return values(operands.y)[0];
}

TEST_F(AlgorithmChoice, FloatsAreNotRoundedWhateverIsFaster) {
  EXPECT_EQ(product_of_fine_factors(*ctx, Precision::float32), (1 + 0x1p-12f) * (1 + 0x1p-12f));
  EXPECT_EQ(product_of_fine_factors(*ctx, Precision::tf32), 1) << "here it may be";
}

TEST_F(AlgorithmChoice, FloatsAreNotRoundedWhateverAFileSays) {
  product_of_fine_factors(*ctx, Precision::float32);
  std::ifstream before(file());
  std::string line;
  std::getline(before, line);
  ASSERT_EQ(line.substr(0, 6), "2 3 0 ");
  const std::string name = file().filename();
  const ScratchFolder other;
  std::filesystem::create_directory(other / "doppio");
  other.write("doppio/" + name, "4 0 0 " + line.substr(6) + "\n");
  setenv("XDG_CACHE_HOME", (other / "").c_str(), 1);

  EXPECT_EQ(product_of_fine_factors(*ctx, Precision::float32), (1 + 0x1p-12f) * (1 + 0x1p-12f));
}

TEST_F(AlgorithmChoice, SlowPassesAreLeftToGemm) {
  dnn.slow = 1000;
  for (const Precision precision : {Precision::float32, Precision::tf32, Precision::bfloat16})
    for (const bool relu : {false, true}) {
      const ConvolutionGeometry g = with(precision);
      expect_right(g, relu);
      EXPECT_EQ(choice(relu ? "forward with ReLU" : "forward", g), "-1 3 0");
      EXPECT_EQ(choice("backward to the data", g), "-1 3 0");
      EXPECT_EQ(choice("backward to the weights", g), "-1 3 0");
    }
}

TEST_F(AlgorithmChoice, SlowNhwcPassesUseNchw) {
  expect_right(with(Precision::tf32));
  EXPECT_EQ(choice("forward", with(Precision::tf32)), "4 0 2");
  ConvolutionGeometry g = with(Precision::tf32);
  g.batch = 3;
  dnn.slow_last = 1000;
  expect_right(g);
  EXPECT_EQ(choice("forward", g), "4 0 0");
  EXPECT_EQ(choice("backward to the weights", g), "4 0 0");
}

TEST_F(AlgorithmChoice, UnalignedChannelsUseNchwOrGemm) {
  dnn.alignment = 8;
  ASSERT_NE(kConvolution.channels / kConvolution.group % 8, 0);
  expect_right(with(Precision::tf32));
  EXPECT_EQ(choice("forward", with(Precision::tf32)), "4 0 0");
  expect_right(with(Precision::bfloat16));
  EXPECT_EQ(choice("forward", with(Precision::bfloat16)), "-1 3 0");
  EXPECT_EQ(choice("backward to the weights", with(Precision::bfloat16)), "-1 3 0");
}

TEST_F(AlgorithmChoice, IsMeasuredOnce) {
  expect_right(kConvolution);
  const int before = count("cuDNN");
  expect_right(kConvolution);
  EXPECT_EQ(count("cuDNN") - before, 3);
}

TEST_F(AlgorithmChoice, FusingPaysUnlessItsAlgorithmIsSlow) {
  expect_right(kConvolution, true);
  EXPECT_EQ(choice("forward with ReLU", kConvolution), "1 3 0");
  ConvolutionGeometry g = kConvolution;
  g.batch = 3;
  dnn.slow_fusing = 1000;
  expect_right(g, true);
  EXPECT_EQ(choice("forward with ReLU", g), "2 3 0");
}

TEST_F(AlgorithmChoice, RefusalsAreLeftToGemm) {
  dnn.finds_nothing = true;
  for (const Precision precision : {Precision::float32, Precision::tf32, Precision::bfloat16})
    for (const bool relu : {false, true}) {
      expect_right(with(precision), relu);
      EXPECT_EQ(choice("backward to the data", with(precision)), "-1 3 0");
    }
}

/// The windows of a 1 x 1 convolution are only x, but its algorithms may need memory for y too.
TEST_F(AlgorithmChoice, OneByOneMayTakeAsMuchAsItsResult) {
  const ConvolutionGeometry g = geometry(1, 1, 32, 1, {128, 1}, {128, 1});
  expect_right(g);
  EXPECT_EQ(choice("backward to the weights", g)[0], '2');
}

TEST_F(AlgorithmChoice, WithoutMemoryToCompareTheNetRunsAllTheSame) {
  Operands operands(kConvolution);
  operands.run(*ctx, *make_batched_gemm_convolution(kConvolution));  // takes what is needed
  const std::vector<float> expected = values(operands.y);
  const auto engine = make_cudnn_convolution(kConvolution);

  cuda::emulated::largest_allocation = 64;
  EXPECT_NO_THROW(engine->forward(*ctx, operands.x, operands.weight, &operands.bias, operands.y));
  cuda::emulated::largest_allocation = SIZE_MAX;

  EXPECT_EQ(values(operands.y), expected);
  EXPECT_FALSE(std::filesystem::exists(folder / "cache/doppio")) << "the choice does not last";
}

}  // namespace
}  // namespace doppio
