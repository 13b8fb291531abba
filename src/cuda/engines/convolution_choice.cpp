#include "cuda/engines/convolution_choice.hpp"

#include <cuda_runtime_api.h>
#include <glog/logging.h>

#include <algorithm>
#include <limits>

#include "cuda/check.hpp"
#include "cuda/runtime/device.hpp"
#include "doppio/error.hpp"

namespace doppio::cuda {

namespace {

/// Returns the math types to search. Floats are rounded to TF32 only if `precision` allows it.
std::vector<cudnnMathType_t> maths_for(Precision precision) {
  switch (precision) {
    case Precision::bfloat16:
      return {CUDNN_TENSOR_OP_MATH};
    case Precision::tf32:
      return {CUDNN_TENSOR_OP_MATH, CUDNN_DEFAULT_MATH};
    case Precision::float32:
      break;
  }
  return {CUDNN_FMA_MATH};
}

const char* name_of(cudnnMathType_t math) {
  return math == CUDNN_FMA_MATH         ? "FMA_MATH"
         : math == CUDNN_TENSOR_OP_MATH ? "TENSOR_OP_MATH"
                                        : "DEFAULT_MATH";
}

std::size_t workspace_limit(const ConvolutionGeometry& g) {
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "querying free memory");
  return most_workspace(g, total);
}

}  // namespace

std::vector<Layout> layouts_for(Precision precision) {
  switch (precision) {
    case Precision::bfloat16:
      return {Layout::nhwc};
    case Precision::tf32:
      return {Layout::nhwc, Layout::nchw};
    case Precision::float32:
      break;
  }
  return {Layout::nchw};
}

PassChoice::PassChoice(ConvolutionPass pass, const ConvolutionGeometry& geometry)
    : name_(doppio::cuda::name_of(pass)), g_(geometry) {
  for (const Layout layout : layouts_for(g_.precision)) calls_.emplace_back(pass, g_, layout);
}

void PassChoice::choose(Context& ctx, bool fused, const Run& run) {
  if (known_) return;
  const std::string what = str(name_, fused ? " with ReLU of " : " of ", g_.text());
  const ConvolutionAlgorithm chosen = remembered_algorithm(
      what, [&](const ConvolutionAlgorithm& a) { return select(ctx, a); },
      [&] { return search(ctx, fused, run); });
  known_ = select(ctx, chosen);
  VLOG(1) << "cuDNN's algorithm for " << what << ": " << describe(algorithm_) << ", "
          << (workspace_ >> 10) << " KiB";
}

const CudnnPass* PassChoice::find(Layout layout) const {
  const auto at = std::find_if(calls_.begin(), calls_.end(),
                               [&](const CudnnPass& call) { return call.layout() == layout; });
  return at == calls_.end() ? nullptr : &*at;
}

/// Selects the pass's algorithm. Returns false if it is not supported.
bool PassChoice::select(Context& ctx, const ConvolutionAlgorithm& algorithm) {
  algorithm_ = algorithm;
  workspace_ = 0;
  if (by_gemm()) {
    algorithm_ = {};
    return true;
  }
  const CudnnPass* call = find(algorithm.layout);
  if (!call) return false;
  // Regardless of the search or the file, floats are rounded only if allowed.
  if (g_.precision == Precision::float32) algorithm_.math = CUDNN_FMA_MATH;
  call->set_math(algorithm_.math);
  return call->workspace(dnn(*ctx.accelerator()), algorithm.number, workspace_) &&
         workspace_ <= workspace_limit(g_);
}

FoundAlgorithm PassChoice::search(Context& ctx, bool fused, const Run& run) {
  bool lasting = true;
  try {
    ConvolutionTrial trial(ctx, g_);
    std::vector<ConvolutionAlgorithm> candidates;
    for (const CudnnPass& call : calls_)
      lasting = add_candidates(trial, call, fused, candidates) && lasting;
    candidates.emplace_back();  // gemm
    ConvolutionAlgorithm best;
    float shortest = std::numeric_limits<float>::infinity();
    for (const ConvolutionAlgorithm& candidate : candidates) try {
        if (!select(ctx, candidate)) continue;
        const float ms = trial.time([&] { run(trial); });
        VLOG(1) << name_ << " of " << g_.text() << " by " << describe(candidate) << ": " << ms
                << " ms";
        if (ms < shortest) shortest = ms, best = algorithm_;
      } catch (const InternalError& e) {
        VLOG(1) << describe(candidate) << " is refused: " << e.what();
      } catch (const Error& e) {  // no memory
        VLOG(1) << describe(candidate) << " was not measured: " << e.what();
        lasting = false;
      }
    return {best, lasting && shortest < std::numeric_limits<float>::infinity()};
  } catch (const OutOfMemory& e) {
    LOG(WARNING) << "No algorithms were compared for " << name_ << " of " << g_.text()
                 << ", which may therefore be slow: " << e.what();
    // Implicit GEMM is deterministic and needs almost no workspace.
    const ConvolutionAlgorithm modest{1, maths_for(g_.precision).front(), calls_.front().layout()};
    return {select(ctx, modest) ? modest : ConvolutionAlgorithm{}, false};
  }
}

/// Adds cuDNN's fastest algorithm in one layout and, with a ReLU, the one that always fuses it.
/// Returns false if the search got less memory than it wanted.
bool PassChoice::add_candidates(ConvolutionTrial& trial, const CudnnPass& call, bool fused,
                                std::vector<ConvolutionAlgorithm>& candidates) {
  std::vector<CudnnPass::Answer> answers;
  bool whole = true;
  for (const cudnnMathType_t math : maths_for(g_.precision)) {
    call.set_math(math);
    const SearchMemory memory(
        *trial.ctx.accelerator(),
        call.largest_workspace(dnn(*trial.ctx.accelerator()), workspace_limit(g_)));
    whole = whole && memory.whole();
    for (const CudnnPass::Answer& a : call.search(
             dnn(*trial.ctx.accelerator()), trial.operands(call.layout()), memory.workspace()))
      if (g_.precision != Precision::float32 || a.math == CUDNN_FMA_MATH) answers.push_back(a);
  }
  std::stable_sort(answers.begin(), answers.end(),
                   [](const auto& a, const auto& b) { return a.milliseconds < b.milliseconds; });
  bool fastest = true;
  for (const CudnnPass::Answer& a : answers) {
    const bool fuses = fused && a.number == CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM;
    if ((!fastest && !fuses) || !select(trial.ctx, {a.number, a.math, call.layout()})) continue;
    candidates.push_back(algorithm_);
    if (fuses) break;
    fastest = false;
  }
  return whole;
}

std::string PassChoice::describe(const ConvolutionAlgorithm& a) const {
  if (a.number == ConvolutionAlgorithm::kGemm) return "gemm";
  return str(calls_.front().name_of(a.number), ", ", name_of(a.math),
             a.layout == Layout::nchw ? ", NCHW" : ", NHWC");
}

}  // namespace doppio::cuda
