// --reference selects the slow implementations that define the results.
#include <gtest/gtest.h>

#include "support/scratch_folder.hpp"
#include "tools/run_command.hpp"

namespace doppio {
namespace {

constexpr const char* kNet = R"(
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [1, 16, 8, 8] } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 16 kernel_size: 3 engine: CAFFE } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
)";

TEST(ReferenceFlag, ConvolvesByGemm) {
  const ScratchFolder folder;
  const std::string model = "--model=" + folder.write("net.prototxt", kNet);
  const std::string by_gemm = "conv: convolution by gemm";

  const Outcome chosen = run_doppio({"time", model, "--iterations=1", "--verbose"});
  const Outcome reference =
      run_doppio({"time", model, "--iterations=1", "--verbose", "--reference"});

  EXPECT_EQ(chosen.exit_code, 0) << chosen.err;
  EXPECT_FALSE(contains(chosen.err, by_gemm)) << chosen.err;
  EXPECT_EQ(reference.exit_code, 0) << reference.err;
  EXPECT_TRUE(contains(reference.err, by_gemm)) << reference.err;
  EXPECT_EQ(run_doppio({"plan", model, "--reference"}).exit_code, 0);
}

TEST(ReferenceFlag, IsTakenByEveryCommandThatRunsANet) {
  for (const char* command : {"train", "test", "time", "classify", "extract", "plan"})
    EXPECT_TRUE(contains(run_doppio({command, "--help"}).out, "--reference")) << command;
}

}  // namespace
}  // namespace doppio
