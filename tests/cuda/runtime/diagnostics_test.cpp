#include "cuda/runtime/diagnostics.hpp"

#include "cuda/check.hpp"
#include "doppio/error.hpp"
#include "support/expect_error.hpp"

namespace doppio::cuda {
namespace {

std::string refusal(int id, const RuntimeInfo& info) {
  return error_of([&] { require_device(id, info); });
}

TEST(Usable, AGpuThatIsThereIsAccepted) {
  EXPECT_NO_THROW(require_device(0, {cudaSuccess, 1, 13000, 13000}));
  EXPECT_NO_THROW(require_device(1, {cudaSuccess, 2, 12040, 12000}));
  EXPECT_NO_THROW(require_kernels(0, "H100", "9.0", cudaSuccess));
}

TEST(Usable, EachObstacleIsNamedWithItsRemedy) {
  EXPECT_EQ(
      refusal(0, {cudaErrorInsufficientDriver, 0, 0, 13000}),
      "--gpu=0: no NVIDIA driver was found; install it, or leave --gpu out to run on the CPU");
  EXPECT_EQ(
      refusal(0, {cudaErrorInsufficientDriver, 0, 11080, 12040}),
      "--gpu=0: the NVIDIA driver supports CUDA 11.8 and this build needs 12.4; update it, or "
      "leave --gpu out to run on the CPU");
  EXPECT_EQ(refusal(0, {cudaErrorNoDevice, 0, 12040, 12040}),
            "--gpu=0: no NVIDIA GPU was found (driver: CUDA 12.4); leave --gpu out to run on the "
            "CPU");
  EXPECT_EQ(refusal(0, {cudaSuccess, 0, 12040, 12040}), refusal(0, {cudaErrorNoDevice, 0, 12040}));
  EXPECT_NE(
      refusal(0, {cudaErrorSystemDriverMismatch, 0, 12040, 12040}).find("driver does not work: "),
      std::string::npos);
}

TEST(Usable, ANumberBeyondTheGpusIsRefused) {
  EXPECT_EQ(refusal(1, {cudaSuccess, 1, 13000, 13000}),
            "--gpu=1: this machine has 1 GPU, number 0");
  EXPECT_EQ(refusal(2, {cudaSuccess, 2, 13000, 13000}),
            "--gpu=2: this machine has 2 GPUs, numbers 0 to 1");
  EXPECT_NE(refusal(-1, {cudaSuccess, 2, 13000, 13000}), "");
}

TEST(Usable, AnOldGpuIsNamedWithWhatTheBuildHolds) {
  const std::string error =
      error_of([] { require_kernels(0, "GTX 1080", "6.1", cudaErrorNoKernelImageForDevice); });
  EXPECT_NE(error.find("GTX 1080 has compute capability 6.1"), std::string::npos) << error;
  EXPECT_NE(error.find("-DCMAKE_CUDA_ARCHITECTURES"), std::string::npos) << error;
  EXPECT_THROW(require_kernels(0, "H100", "9.0", cudaErrorUnknown), InternalError);
}

TEST(Usable, ADriverThatCannotCompileTheKernelsIsNamed) {
  EXPECT_EQ(error_of([] { require_kernels(0, "B200", "10.0", cudaErrorUnsupportedPtxVersion); }),
            "--gpu=0: the NVIDIA driver is too old to compile this build's kernels for B200; "
            "update it, or leave --gpu out to run on the CPU");
  EXPECT_ERROR(require_kernels(0, "H100", "9.0", cudaErrorDevicesUnavailable),
               "used exclusively by another program");
}

TEST(Usable, SupportNamesTheVersions) {
  const std::string text = support({cudaSuccess, 1, 12040, 13000});
  EXPECT_TRUE(text.starts_with("built for CUDA 13.0, compute capabilities ")) << text;
  EXPECT_TRUE(text.ends_with("; driver: CUDA 12.4")) << text;
  EXPECT_TRUE(support({cudaErrorInsufficientDriver, 0, 0, 13000}).ends_with("; driver: none"));
}

TEST(Check, OutOfMemoryIsForTheUserToMend) {
  EXPECT_EQ(error_of([] { check(cudaErrorMemoryAllocation, "launching a kernel"); }),
            "GPU out of memory, launching a kernel; try a smaller batch_size");
  EXPECT_EQ(error_of([] { check_blas(3, "creating a handle"); }),
            "GPU out of memory, cuBLAS creating a handle; try a smaller batch_size");
}

TEST(Usable, OutOfMemoryCountsInMebibytes) {
  EXPECT_EQ(out_of_memory(std::size_t{3} << 30, std::size_t{1} << 30, std::size_t{8} << 30),
            "GPU out of memory: 3072 MiB needed, 1024 MiB of 8192 MiB free; try a smaller "
            "batch_size");
}

template <class F>
std::string internal_error_of(F action) {
  try {
    action();
  } catch (const InternalError& e) {
    return e.what();
  }
  return {};
}

TEST(Check, SaysWhatWasBeingDoneAndWhy) {
  EXPECT_NO_THROW(check(cudaSuccess, "x"));
  EXPECT_NO_THROW(check_blas(0, "x"));
  EXPECT_EQ(internal_error_of([] { check(cudaErrorInvalidValue, "copying"); }),
            "CUDA, copying: invalid argument (cudaErrorInvalidValue)");
  EXPECT_EQ(internal_error_of([] { check_blas(7, "multiplying"); }),
            "cuBLAS, multiplying: CUBLAS_STATUS_INVALID_VALUE");
  for (const cudaError_t sticky : {cudaErrorIllegalAddress, cudaErrorECCUncorrectable}) {
    const std::string error = internal_error_of([&] { check(sticky, "copying"); });
    EXPECT_NE(error.find("this process can no longer use the GPU"), std::string::npos) << error;
    EXPECT_NE(error.find("CUDA_LAUNCH_BLOCKING=1"), std::string::npos) << error;
  }
}

}  // namespace
}  // namespace doppio::cuda
