#pragma once
// What a search for convolution algorithms works on.
#include "cuda/engines/cudnn_pass.hpp"
#include "doppio/context.hpp"
#include "doppio/tensor.hpp"

namespace doppio {
class Accelerator;
}

namespace doppio::cuda {

/// Most bytes of workspace that a pass may take on a GPU with `total` bytes of memory: an eighth of
/// that, at most 4 GiB, and no more than all windows at once, or both maps and the weights twice,
/// and a little.
std::size_t most_workspace(const ConvolutionGeometry& geometry, std::size_t total);

/// Tensors of a convolution, to be overwritten, and a workspace of their own.
/// Throws: OutOfMemory while they are used.
struct ConvolutionTrial {
  Context ctx;
  Tensor x, weight, bias, y;

  ConvolutionTrial(const Context& of, const ConvolutionGeometry& geometry);
  /// The tensors of the geometry's type.
  CudnnPass::Operands operands(Layout layout);

  /// Milliseconds of the device's time that `run` takes when it is run again.
  template <class Run>
  float time(Run run) {
    run();  // takes memory, loads kernels
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

/// Workspace of a search: as much as it wants or, where that is too much, half of it, ...
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
