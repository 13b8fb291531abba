#pragma once
// Chooses how to compute a convolution pass: by a cuDNN algorithm in some layout, or by the gemm
// engine.
#include <functional>
#include <string>
#include <vector>

#include "cuda/engines/algorithm_file.hpp"
#include "cuda/engines/convolution_trial.hpp"
#include "cuda/engines/cudnn_pass.hpp"

namespace doppio::cuda {

/// Returns the layouts to try for a pass, that of the engine's tensors first. Tensor cores prefer
/// NHWC, but some float passes of cuDNN are faster in NCHW.
std::vector<Layout> layouts_for(Precision precision);

/// A pass and its algorithm: the fastest among cuDNN's best one in each layout and the gemm engine,
/// measured with layout conversions, bias and ReLU.
class PassChoice {
 public:
  PassChoice(ConvolutionPass pass, const ConvolutionGeometry& geometry);

  /// Chooses an algorithm on the first call. `run` runs the pass by algorithm(); `fused`: with a
  /// ReLU that cuDNN may fuse.
  void choose(Context& ctx, bool fused, const std::function<void(ConvolutionTrial&)>& run);
  /// Lets the next call choose again.
  void forget() { known_ = false; }

  const ConvolutionAlgorithm& algorithm() const { return algorithm_; }
  bool by_gemm() const { return algorithm_.number == ConvolutionAlgorithm::kGemm; }
  /// Bytes that the chosen algorithm needs.
  std::size_t workspace() const { return workspace_; }
  /// Returns the cuDNN pass. Requires !by_gemm().
  const CudnnPass& call() const { return *find(algorithm_.layout); }
  /// "WINOGRAD, FMA_MATH, NCHW".
  std::string describe(const ConvolutionAlgorithm& algorithm) const;

 private:
  using Run = std::function<void(ConvolutionTrial&)>;
  const CudnnPass* find(Layout layout) const;
  bool select(Context& ctx, const ConvolutionAlgorithm& algorithm);
  FoundAlgorithm search(Context& ctx, bool fused, const Run& run);
  bool add_candidates(ConvolutionTrial& trial, const CudnnPass& call, bool fused,
                      std::vector<ConvolutionAlgorithm>& candidates);

  const char* const name_;
  const ConvolutionGeometry g_;
  std::vector<CudnnPass> calls_;  // by layout
  bool known_ = false;
  ConvolutionAlgorithm algorithm_;
  std::size_t workspace_ = 0;
};

}  // namespace doppio::cuda
