#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <tuple>

#include "cuda/engines/algorithm_file.hpp"
#include "cuda/engines/convolution_choice.hpp"
#include "cuda/engines/convolution_operands.hpp"
#include "cuda/runtime/cudnn.hpp"

namespace doppio {

/// cuDNN keeps its algorithms in a folder of the test.
class CudnnConvolutionTest : public GpuTest {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::filesystem::temp_directory_path() / str("doppio_cudnn_test_", getpid());
    setenv("XDG_CACHE_HOME", folder_.c_str(), 1);
  }
  static void TearDownTestSuite() { std::filesystem::remove_all(folder_); }
  void SetUp() override {
    GpuTest::SetUp();
    if (ctx && !cuda::cudnn().why_not.empty()) GTEST_SKIP() << cuda::cudnn().why_not;
  }

  /// All lines of all files.
  static std::vector<std::string> remembered() {
    std::vector<std::string> lines;
    for (const auto& entry : std::filesystem::directory_iterator(folder_ / "doppio")) {
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);) lines.push_back(line);
    }
    return lines;
  }

  /// What was chosen for one pass.
  static cuda::ConvolutionAlgorithm chosen(const std::string& pass, const ConvolutionGeometry& g) {
    const auto nothing = [&]() -> cuda::FoundAlgorithm {
      ADD_FAILURE() << "nothing is remembered for " << pass << " of " << g.text();
      return {{}, false};
    };
    return cuda::remembered_algorithm(
        str(pass, " of ", g.text()), [](const auto&) { return true; }, nothing);
  }

  /// Relative to the largest value: what values are rounded to, or what the algorithm loses.
  static float tolerance(cuda::ConvolutionPass pass, bool relu, const ConvolutionGeometry& g) {
    if (g.precision == Precision::bfloat16) return 0.01f;
    if (g.precision == Precision::tf32) return 2e-3f;
    const std::string name = name_of(pass) + std::string(relu ? " with ReLU" : "");
    const std::string algorithm = cuda::PassChoice(pass, g).describe(chosen(name, g));
    const bool transforms = algorithm.starts_with("WINOGRAD") || algorithm.starts_with("FFT");
    return transforms ? 1e-4f : 1e-5f;
  }

  /// "forward: FFT, FMA_MATH, NCHW, ...", of all passes, for traces.
  static std::string algorithms(const ConvolutionGeometry& g, bool relu) {
    std::string all;
    for (const auto pass : {cuda::ConvolutionPass::forward, cuda::ConvolutionPass::data,
                            cuda::ConvolutionPass::params}) {
      const bool fused = relu && pass == cuda::ConvolutionPass::forward;
      const std::string name = name_of(pass) + std::string(fused ? " with ReLU" : "");
      all += str(name, ": ", cuda::PassChoice(pass, g).describe(chosen(name, g)), "; ");
    }
    return all;
  }

  void expect_agreement(ConvolutionGeometry g, Precision precision, bool relu);

  static inline std::filesystem::path folder_;
};

namespace {

void expect_close(const Tensor& actual, const Tensor& expected, float tolerance) {
  const std::vector<float> a = values(actual), e = values(expected);
  float largest = 1;
  for (const float v : e) largest = std::max(largest, std::abs(v));
  for (std::size_t i = 0; i < e.size(); ++i)
    ASSERT_NEAR(a[i], e[i], tolerance * largest) << "at " << i;
}

}  // namespace

void CudnnConvolutionTest::expect_agreement(ConvolutionGeometry g, Precision precision, bool relu) {
  g.precision = precision;
  SCOPED_TRACE(str(g.text(), relu ? ", ReLU" : ""));
  if (const std::string reason = why_not_cudnn_convolution(g); !reason.empty()) {
    EXPECT_TRUE(g.overhangs()) << reason;
    return;
  }
  ConvolutionGeometry unrounded = g;
  unrounded.precision = Precision::float32;
  const auto reference = make_batched_gemm_convolution(unrounded);
  const auto engine = make_cudnn_convolution(g);
  Operands expected(g), actual(g);
  if (relu) {
    EXPECT_EQ(reference->fuse(kRelu, expected.y, true), 1u);
    EXPECT_EQ(engine->fuse(kRelu, actual.y, true), 1u);
  }
  const cuda::ConvolutionPass made_by[] = {
      cuda::ConvolutionPass::forward, cuda::ConvolutionPass::data, cuda::ConvolutionPass::params};
  for (int pass = 0; pass < 2; ++pass) {  // the second one by the algorithms found in the first
    expected.run(*ctx, *reference);
    actual.run(*ctx, *engine);
    SCOPED_TRACE(algorithms(g, relu));
    for (std::size_t i = 0; i < 3; ++i) {
      SCOPED_TRACE(str("pass ", pass, ", result ", i));
      expect_close(*actual.results()[i], *expected.results()[i],
                   tolerance(made_by[i], relu && i == 0, g));
    }
    SCOPED_TRACE("gradient of the bias");
    expect_close(actual.dbias, expected.dbias, precision == Precision::bfloat16 ? 0.01f : 1e-5f);
  }
}

namespace {

TEST_F(CudnnConvolutionTest, AgreesWithGemm) {
  for (const Precision precision : {Precision::float32, Precision::tf32, Precision::bfloat16})
    for (const bool relu : {false, true})
      for (const ConvolutionGeometry& g : kGeometries) expect_agreement(g, precision, relu);
}

TEST_F(CudnnConvolutionTest, RoundedTensorsStayAsTheyLie) {
  for (const auto& [precision, layout, element] :
       {std::tuple{Precision::float32, Layout::nchw, Element::f32},
        {Precision::tf32, Layout::nhwc, Element::f32},
        {Precision::bfloat16, Layout::nhwc, Element::bf16}}) {
    ConvolutionGeometry g = geometry(2, 32, 32, 2, {5, 3, 1}, {5, 3, 1});  // 16 channels a group
    g.precision = precision;
    Operands operands(g);
    operands.run(*ctx, *make_cudnn_convolution(g));
    EXPECT_EQ(operands.y.layout(), chosen("forward", g).layout);
    EXPECT_EQ(operands.dx.layout(), chosen("backward to the data", g).layout);
    EXPECT_EQ(operands.dweight.layout(), Layout::nchw);
#ifdef DOPPIO_EMULATED_CUDA  // where nothing else is faster
    EXPECT_EQ(operands.y.layout(), layout);
    EXPECT_EQ(operands.dx.layout(), layout);
    EXPECT_EQ(operands.y.element(), element);
    EXPECT_EQ(operands.dx.element(), element);
#endif
  }
}

TEST_F(CudnnConvolutionTest, WorkspaceIsBoundedByTheProblemAndTheDevice) {
  constexpr std::size_t kMiB = std::size_t{1} << 20, kMemory = std::size_t{141} << 30;
  // A 1 x 1 convolution whose algorithms turn x and y first: 64 + 256 MiB and the weights.
  const ConvolutionGeometry g = geometry(256, 64, 256, 1, {32, 1}, {32, 1});
  EXPECT_GE(cuda::most_workspace(g, kMemory), 320 * kMiB + 64 * 256 * sizeof(float));
  EXPECT_LE(cuda::most_workspace(g, kMemory), 1024 * kMiB);
  EXPECT_EQ(cuda::most_workspace(g, 1024 * kMiB), 128 * kMiB) << "an eighth of the device's";
}

TEST_F(CudnnConvolutionTest, AlgorithmsAreRemembered) {
  ConvolutionGeometry g = kGeometries[0];
  g.batch = 6;  // of no other test
  const auto run = [&] {
    Operands operands(g);
    operands.run(*ctx, *make_cudnn_convolution(g));
  };
  run();
  const std::vector<std::string> lines = remembered();
  const auto about = [&](const std::string& text) {
    return std::count_if(lines.begin(), lines.end(), [&](const std::string& line) {
      return line.find(text) != std::string::npos;
    });
  };
  EXPECT_EQ(about("forward of " + g.text()), 1);
  EXPECT_EQ(about("backward to the data of " + g.text()), 1);
  EXPECT_EQ(about("backward to the weights of " + g.text()), 1);
  run();
  EXPECT_EQ(remembered(), lines);
}

TEST_F(CudnnConvolutionTest, WhatIsUnusableOrWasFoundInNeedIsSearchedForAgain) {
  int searches = 0;
  const auto search = [&] {
    ++searches;
    return cuda::FoundAlgorithm{{5, CUDNN_FMA_MATH}, searches > 2};
  };
  const auto always = [](const cuda::ConvolutionAlgorithm&) { return true; };
  const auto never = [](const cuda::ConvolutionAlgorithm&) { return false; };
  for (int i = 1; i <= 3; ++i) {
    EXPECT_EQ(cuda::remembered_algorithm("one", always, search).number, 5);
    EXPECT_EQ(searches, i) << "the first two were made in need of memory, say";
  }
  EXPECT_EQ(cuda::remembered_algorithm("one", always, search).number, 5);
  EXPECT_EQ(searches, 3);
  EXPECT_EQ(cuda::remembered_algorithm("one", never, search).number, 5);
  EXPECT_EQ(searches, 4);
}

TEST_F(CudnnConvolutionTest, RefusesWhatItCannot) {
  EXPECT_EQ(why_not_cudnn_convolution(kGeometries[0]), "");
  ConvolutionGeometry g = kGeometries[0];
  g.precision = Precision::bfloat16;
  g.four_axes = false;
  EXPECT_EQ(why_not_cudnn_convolution(g), "channels are not the second axis");
  g = kGeometries[0];
  g.batch = Index{1} << 32;
  EXPECT_EQ(why_not_cudnn_convolution(g), "its indices end at 2^31");
  g.batch = 0;
  EXPECT_EQ(why_not_cudnn_convolution(g), "the bottom is empty");
}

}  // namespace
}  // namespace doppio
