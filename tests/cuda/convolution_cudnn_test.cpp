#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "cuda/convolution_operands.hpp"
#include "cuda/cudnn.hpp"

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

  static inline std::filesystem::path folder_;
};

namespace {

/// What values are rounded to on the way, relative to the largest.
float tolerance(Precision precision) {
  return precision == Precision::bfloat16 ? 0.01f : precision == Precision::tf32 ? 2e-3f : 1e-5f;
}

void expect_close(const Tensor& actual, const Tensor& expected, float tolerance) {
  const std::vector<float> a = values(actual), e = values(expected);
  float largest = 1;
  for (const float v : e) largest = std::max(largest, std::abs(v));
  for (std::size_t i = 0; i < e.size(); ++i)
    ASSERT_NEAR(a[i], e[i], tolerance * largest) << "at " << i;
}

void expect_agreement(Context& ctx, ConvolutionGeometry g, Precision precision, bool relu) {
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
    EXPECT_TRUE(reference->fuse_relu(expected.y, true));
    EXPECT_TRUE(engine->fuse_relu(actual.y, true));
  }
  for (int pass = 0; pass < 2; ++pass) {  // the second one by the algorithms found in the first
    expected.run(ctx, *reference);
    actual.run(ctx, *engine);
    for (std::size_t i = 0; i < expected.results().size(); ++i) {
      SCOPED_TRACE(str("pass ", pass, ", result ", i));
      expect_close(*actual.results()[i], *expected.results()[i], tolerance(precision));
    }
  }
}

TEST_F(CudnnConvolutionTest, AgreesWithGemm) {
  for (const Precision precision : {Precision::float32, Precision::tf32, Precision::bfloat16})
    for (const bool relu : {false, true})
      for (const ConvolutionGeometry& g : kGeometries) expect_agreement(*ctx, g, precision, relu);
}

TEST_F(CudnnConvolutionTest, RoundedTensorsStayAsTheyLie) {
  for (const auto& [precision, layout] : {std::pair{Precision::float32, Layout::plain},
                                          {Precision::tf32, Layout::channels_last},
                                          {Precision::bfloat16, Layout::bf16}}) {
    ConvolutionGeometry g = kGeometries[1];
    g.precision = precision;
    Operands operands(g);
    operands.run(*ctx, *make_cudnn_convolution(g));
    EXPECT_EQ(operands.y.layout(), layout);
    EXPECT_EQ(operands.dx.layout(), layout);
    EXPECT_EQ(operands.dweight.layout(), Layout::plain);
  }
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
  EXPECT_EQ(why_not_cudnn_convolution(g), "it counts to 2^31 only");
  g.batch = 0;
  EXPECT_EQ(why_not_cudnn_convolution(g), "the bottom is empty");
}

#ifdef DOPPIO_EMULATED_CUDA
TEST_F(CudnnConvolutionTest, ChoosesWhatIsTheSameEveryTimeAndFits) {
  ConvolutionGeometry g = kGeometries[0];
  g.batch = 7;
  Operands operands(g);
  operands.run(*ctx, *make_cudnn_convolution(g));
  for (const std::string& line : remembered())
    if (line.find(g.text()) != std::string::npos) {
      EXPECT_EQ(line[0], '2') << line;
    }
}
#endif

}  // namespace
}  // namespace doppio
