// Replaces src/cuda in a build without CUDA.
#include "core/communicator.hpp"
#include "doppio/context.hpp"
#include "doppio/error.hpp"

namespace doppio {

std::shared_ptr<Accelerator> open_accelerator(int id) {
  throw Error(str("GPU ", id, " cannot be used: this build has no CUDA; ",
                  "build with nvcc on the PATH, or leave --gpu out to run on the CPU"));
}

bool communicators_span_processes() { return false; }

std::unique_ptr<Communicator> make_communicator(const std::vector<std::shared_ptr<Accelerator>>&,
                                                const GlobalRanks&) {
  throw Error("several devices cannot train together: this build has no CUDA");
}

std::vector<AcceleratorInfo> list_accelerators() { return {}; }

std::string accelerator_support() {
  return "none can be used; this build has no CUDA (cmake --preset cuda makes one that has)";
}

bool built_with_cuda() { return false; }

}  // namespace doppio
