#pragma once
// Tensors and memory to measure convolution algorithms with.
#include "cuda/engines/cudnn_pass.hpp"
#include "doppio/context.hpp"
#include "doppio/tensor.hpp"

namespace doppio {
class Accelerator;
}

namespace doppio::cuda {

/// Returns the workspace limit of a pass, in bytes, on a GPU with `total` bytes of memory: an
/// eighth of that, at most 4 GiB, and at most 64 MiB more than all windows or twice x, y and
/// weights.
std::size_t most_workspace(const ConvolutionGeometry& geometry, std::size_t total);

/// Scratch tensors of a convolution, with their own workspace. Throws: OutOfMemory while they are
/// used.
struct ConvolutionTrial {
  Context ctx;
  Tensor x, weight, bias, y;

  ConvolutionTrial(const Context& of, const ConvolutionGeometry& geometry);
  /// Returns the tensors in the geometry's element type.
  CudnnPass::Operands operands(Layout layout);

  /// Returns the device time of `run` in milliseconds, after a warm-up.
  template <class Run>
  float time(Run run) {
    run();  // allocates memory, loads kernels
    begin();
    for (int i = 0; i < kRuns; ++i) run();
    return end() / kRuns;
  }

 private:
  template <class T>
  CudnnPass::Operands operands_of(Layout layout);
  static constexpr int kRuns = 2;
  struct Events;
  void begin();
  float end();
  Element element_;
  std::shared_ptr<Events> events_;
};

/// Workspace of a search: `wanted` bytes, halved until the allocation succeeds.
class SearchMemory {
 public:
  SearchMemory(Accelerator& device, std::size_t wanted);
  ~SearchMemory();
  SearchMemory(const SearchMemory&) = delete;
  SearchMemory& operator=(const SearchMemory&) = delete;

  bool whole() const { return bytes_ == wanted_; }
  CudnnPass::Workspace workspace() const { return {memory_, bytes_}; }

 private:
  Accelerator& device_;
  const std::size_t wanted_;
  std::size_t bytes_;
  void* memory_ = nullptr;
};

}  // namespace doppio::cuda
