// Lists and opens GPUs, and reports what they and this build support.
#include <string>
#include <vector>

#include "cuda/check.hpp"
#include "cuda/runtime/device.hpp"
#ifdef DOPPIO_CUDNN
#include "cuda/runtime/cudnn.hpp"
#endif
#ifdef DOPPIO_NCCL
#include "cuda/runtime/nccl.hpp"
#endif
#include "cuda/runtime/diagnostics.hpp"
#include "cuda/runtime/probe.hpp"
#include "doppio/context.hpp"
#include "doppio/error.hpp"

namespace doppio {

namespace {

AcceleratorInfo describe(int id) {
  cudaDeviceProp properties;
  cuda::check(cudaGetDeviceProperties(&properties, id), "querying the device's properties");
  return {id, properties.name, properties.totalGlobalMem,
          str(properties.major, ".", properties.minor)};
}

}  // namespace

std::shared_ptr<Accelerator> open_accelerator(int id) {
  cuda::require_device(id, cuda::query_runtime());
  const AcceleratorInfo info = describe(id);
  cuda::check(cudaSetDevice(id), "choosing the device");
  cuda::require_kernels(id, info.name, info.compute_capability, cuda::probe());
  return cuda::open_device(id);
}

std::vector<AcceleratorInfo> list_accelerators() {
  std::vector<AcceleratorInfo> gpus;
  const cuda::RuntimeInfo info = cuda::query_runtime();
  for (int id = 0; info.status == cudaSuccess && id < info.gpus; ++id) gpus.push_back(describe(id));
  return gpus;
}

std::string accelerator_support() {
#ifdef DOPPIO_CUDNN
  const std::string dnn =
      cuda::cudnn().why_not.empty() ? cuda::cudnn_version() : cuda::cudnn().why_not;
#else
  const std::string dnn = "no cuDNN in this build";
#endif
#ifdef DOPPIO_NCCL
  const std::string nccl =
      cuda::nccl().why_not.empty() ? cuda::nccl_version() : "no NCCL: " + cuda::nccl().why_not;
#else
  const std::string nccl = "no NCCL in this build";
#endif
  return str(cuda::support(cuda::query_runtime()), "; ", dnn, "; ", nccl);
}

bool built_with_cuda() { return true; }

}  // namespace doppio
