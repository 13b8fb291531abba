#include "cuda/runtime/diagnostics.hpp"

#include "cuda/check.hpp"
#include "doppio/error.hpp"

namespace doppio::cuda {

namespace {

constexpr const char* kOrCpu = ", or leave --gpu out to run on the CPU";

std::string version(int v) { return str(v / 1000, ".", v % 1000 / 10); }

}  // namespace

RuntimeInfo query_runtime() {
  RuntimeInfo s;
  s.status = cudaGetDeviceCount(&s.gpus);
  cudaGetLastError();  // clear the error, or the next launch would report it
  cudaDriverGetVersion(&s.driver);
  cudaRuntimeGetVersion(&s.runtime);
  return s;
}

void require_device(int id, const RuntimeInfo& s) {
  const std::string flag = str("--gpu=", id, ": ");
  require(s.driver > 0, flag, "no NVIDIA driver was found; install it", kOrCpu);
  require(s.status != cudaErrorInsufficientDriver, flag, "the NVIDIA driver supports CUDA ",
          version(s.driver), " and this build needs ", version(s.runtime), "; update it", kOrCpu);
  require(s.status != cudaErrorNoDevice && !(s.status == cudaSuccess && s.gpus == 0), flag,
          "no NVIDIA GPU was found (driver: CUDA ", version(s.driver),
          "); leave --gpu out to run on the CPU");
  require(s.status == cudaSuccess, flag,
          "the NVIDIA driver does not work: ", cudaGetErrorString(s.status), "; see nvidia-smi",
          kOrCpu);
  require(id >= 0 && id < s.gpus, flag, "this machine has ", s.gpus,
          s.gpus == 1 ? " GPU, number 0" : str(" GPUs, numbers 0 to ", s.gpus - 1));
}

void require_kernels(int id, const std::string& name, const std::string& compute_capability,
                     cudaError_t status) {
  require(status != cudaErrorUnsupportedPtxVersion, "--gpu=", id,
          ": the NVIDIA driver is too old to compile this build's kernels for ", name,
          "; update it", kOrCpu);
  require(status != cudaErrorDevicesUnavailable, "--gpu=", id, ": ", name,
          " is used exclusively by another program; see nvidia-smi", kOrCpu);
  require(status != cudaErrorNoKernelImageForDevice && status != cudaErrorInvalidDeviceFunction,
          "--gpu=", id, ": ", name, " has compute capability ", compute_capability,
          " and this build has kernels for " DOPPIO_CUDA_ARCHITECTURES
          " only; build with -DCMAKE_CUDA_ARCHITECTURES for it",
          kOrCpu);
  check(status, "looking for kernels");
}

std::string support(const RuntimeInfo& s) {
  return str("built for CUDA ", version(s.runtime), ", compute capabilities ",
             DOPPIO_CUDA_ARCHITECTURES,
             "; driver: ", s.driver > 0 ? "CUDA " + version(s.driver) : "none");
}

std::string out_of_memory(std::size_t wanted, std::size_t free, std::size_t total) {
  const auto mib = [](std::size_t bytes) { return str((bytes + (1 << 19)) >> 20, " MiB"); };
  return str("GPU out of memory: ", mib(wanted), " needed, ", mib(free), " of ", mib(total),
             " free; try a smaller batch_size");
}

}  // namespace doppio::cuda
