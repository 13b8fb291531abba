#pragma once
// How a pass of a convolution is computed: by one of cuDNN's algorithms in some layout, or by the
// gemm engine.
#include <functional>
#include <string>
#include <vector>

#include "cuda/engines/algorithm_file.hpp"
#include "cuda/engines/convolution_trial.hpp"
#include "cuda/engines/cudnn_pass.hpp"

namespace doppio::cuda {

/// The layouts in which a pass may be computed, that of the engine's tensors first. Tensor cores
/// want NHWC, but some of cuDNN's passes of floats are faster in NCHW all the same.
std::vector<Layout> layouts_for(Precision precision);

/// One pass and what computes it. Chooses by measurement among cuDNN's fastest algorithm in each
/// layout and the gemm engine, as the whole pass takes: with conversions of layouts, bias and ReLU.
class PassChoice {
 public:
  PassChoice(ConvolutionPass pass, const ConvolutionGeometry& geometry);

  /// Chooses unless that was done. `run` runs the pass by algorithm(); `fused`: with a ReLU that
  /// cuDNN may fuse.
  void choose(Context& ctx, bool fused, const std::function<void(ConvolutionTrial&)>& run);
  /// Lets the next call choose anew.
  void forget() { known_ = false; }

  const ConvolutionAlgorithm& algorithm() const { return algorithm_; }
  bool by_gemm() const { return algorithm_.number == ConvolutionAlgorithm::kGemm; }
  /// The chosen algorithm's bytes.
  std::size_t workspace() const { return workspace_; }
  /// The pass by cuDNN, unless by_gemm().
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
