#include "cuda/engines/cudnn_pass.hpp"

#include <algorithm>
#include <iterator>
#include <span>

#include "doppio/error.hpp"

namespace doppio::cuda {

namespace {

constexpr float kOne = 1, kZero = 0;
constexpr int kMaxAlgorithms = 16;

constexpr const char* kForward[] = {
    "IMPLICIT_GEMM", "IMPLICIT_PRECOMP_GEMM", "GEMM", "DIRECT", "FFT", "FFT_TILING",
    "WINOGRAD",      "WINOGRAD_NONFUSED"};
constexpr const char* kData[] = {"ALGO_0",     "ALGO_1",   "FFT",
                                 "FFT_TILING", "WINOGRAD", "WINOGRAD_NONFUSED"};
constexpr const char* kParams[] = {
    "ALGO_0", "ALGO_1", "FFT", "ALGO_3", "WINOGRAD", "WINOGRAD_NONFUSED", "FFT_TILING"};

std::span<const char* const> names(ConvolutionPass pass) {
  switch (pass) {
    case ConvolutionPass::forward:
      return kForward;
    case ConvolutionPass::data:
      return kData;
    case ConvolutionPass::params:
      break;
  }
  return kParams;
}

int small(Index n) { return static_cast<int>(n); }
void* written(const void* result) { return const_cast<void*>(result); }

/// Calls find(capacity, count, results) and returns the deterministic algorithms in order.
template <class Perf, class Find>
std::vector<CudnnPass::Answer> answers_of(Find find) {
  Perf found[kMaxAlgorithms];
  int count = 0;
  std::vector<CudnnPass::Answer> answers;
  if (find(kMaxAlgorithms, &count, found) != CUDNN_STATUS_SUCCESS) return answers;
  for (const Perf& f : std::span(found, static_cast<std::size_t>(count)))
    if (f.status == CUDNN_STATUS_SUCCESS && f.determinism == CUDNN_DETERMINISTIC)
      answers.push_back({f.algo, f.mathType, f.time});
  return answers;
}

}  // namespace

const char* name_of(ConvolutionPass pass) {
  return pass == ConvolutionPass::forward ? "forward"
         : pass == ConvolutionPass::data  ? "backward to the data"
                                          : "backward to the weights";
}

CudnnPass::CudnnPass(ConvolutionPass pass, const ConvolutionGeometry& g, Layout layout)
    : pass_(pass),
      layout_(layout),
      x_(cudnn().CreateTensorDescriptor, cudnn().DestroyTensorDescriptor),
      y_(cudnn().CreateTensorDescriptor, cudnn().DestroyTensorDescriptor),
      bias_(cudnn().CreateTensorDescriptor, cudnn().DestroyTensorDescriptor),
      weight_(cudnn().CreateFilterDescriptor, cudnn().DestroyFilterDescriptor),
      relu_(cudnn().CreateActivationDescriptor, cudnn().DestroyActivationDescriptor),
      convolution_(cudnn().CreateConvolutionDescriptor, cudnn().DestroyConvolutionDescriptor) {
  const cudnnDataType_t type =
      element_of(g.precision) == Element::bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
  const cudnnTensorFormat_t format = layout == Layout::nchw ? CUDNN_TENSOR_NCHW : CUDNN_TENSOR_NHWC;
  const auto describe = [&](cudnnTensorDescriptor_t tensor, Index n, Index c, Index h, Index w) {
    check_dnn(
        cudnn().SetTensor4dDescriptor(tensor, format, type, small(n), small(c), small(h), small(w)),
        "describing a tensor");
  };
  const WindowAxis &h = g.windows.axis[0], &w = g.windows.axis[1];
  describe(x_, g.batch, g.channels, h.in, w.in);
  describe(y_, g.batch, g.num_output, h.out, w.out);
  describe(bias_, 1, g.num_output, 1, 1);
  check_dnn(
      cudnn().SetFilter4dDescriptor(weight_, type, format, small(g.num_output),
                                    small(g.channels / g.group), small(h.kernel), small(w.kernel)),
      "describing weights");
  check_dnn(cudnn().SetActivationDescriptor(relu_, CUDNN_ACTIVATION_RELU, CUDNN_PROPAGATE_NAN, 0),
            "describing a ReLU");
  check_dnn(cudnn().SetConvolution2dDescriptor(
                convolution_, small(h.pad), small(w.pad), small(h.stride), small(w.stride),
                small(h.dilation), small(w.dilation), CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
            "describing a convolution");
  check_dnn(cudnn().SetConvolutionGroupCount(convolution_, small(g.group)), "describing groups");
}

void CudnnPass::set_math(cudnnMathType_t math) const {
  check_dnn(cudnn().SetConvolutionMathType(convolution_, math), "describing products");
}

bool CudnnPass::workspace(cudnnHandle_t dnn, int number, std::size_t& bytes) const {
  cudnnStatus_t status = CUDNN_STATUS_SUCCESS;
  switch (pass_) {
    case ConvolutionPass::forward:
      status = cudnn().GetConvolutionForwardWorkspaceSize(
          dnn, x_, weight_, convolution_, y_, static_cast<cudnnConvolutionFwdAlgo_t>(number),
          &bytes);
      break;
    case ConvolutionPass::data:
      status = cudnn().GetConvolutionBackwardDataWorkspaceSize(
          dnn, weight_, y_, convolution_, x_, static_cast<cudnnConvolutionBwdDataAlgo_t>(number),
          &bytes);
      break;
    case ConvolutionPass::params:
      status = cudnn().GetConvolutionBackwardFilterWorkspaceSize(
          dnn, x_, y_, convolution_, weight_, static_cast<cudnnConvolutionBwdFilterAlgo_t>(number),
          &bytes);
      break;
  }
  return status == CUDNN_STATUS_SUCCESS;
}

std::size_t CudnnPass::largest_workspace(cudnnHandle_t dnn, std::size_t most) const {
  std::size_t largest = 0, bytes = 0;
  for (int number = 0; number < std::ssize(names(pass_)); ++number)
    if (workspace(dnn, number, bytes) && bytes <= most) largest = std::max(largest, bytes);
  return largest;
}

std::vector<CudnnPass::Answer> CudnnPass::search(cudnnHandle_t dnn, const Operands& o,
                                                 Workspace memory) const {
  switch (pass_) {
    case ConvolutionPass::forward:
      return answers_of<cudnnConvolutionFwdAlgoPerf_t>([&](int most, int* count, auto* found) {
        return cudnn().FindConvolutionForwardAlgorithmEx(dnn, x_, o.x, weight_, o.weight,
                                                         convolution_, y_, written(o.y), most,
                                                         count, found, memory.memory, memory.bytes);
      });
    case ConvolutionPass::data:
      return answers_of<cudnnConvolutionBwdDataAlgoPerf_t>([&](int most, int* count, auto* found) {
        return cudnn().FindConvolutionBackwardDataAlgorithmEx(
            dnn, weight_, o.weight, y_, o.y, convolution_, x_, written(o.x), most, count, found,
            memory.memory, memory.bytes);
      });
    case ConvolutionPass::params:
      break;
  }
  return answers_of<cudnnConvolutionBwdFilterAlgoPerf_t>([&](int most, int* count, auto* found) {
    return cudnn().FindConvolutionBackwardFilterAlgorithmEx(dnn, x_, o.x, y_, o.y, convolution_,
                                                            weight_, written(o.weight), most, count,
                                                            found, memory.memory, memory.bytes);
  });
}

void CudnnPass::run(cudnnHandle_t dnn, int number, const Operands& o, Workspace memory,
                    float beta) const {
  cudnnStatus_t status = CUDNN_STATUS_SUCCESS;
  switch (pass_) {
    case ConvolutionPass::forward:
      status = cudnn().ConvolutionForward(dnn, &kOne, x_, o.x, weight_, o.weight, convolution_,
                                          static_cast<cudnnConvolutionFwdAlgo_t>(number),
                                          memory.memory, memory.bytes, &beta, y_, written(o.y));
      break;
    case ConvolutionPass::data:
      status =
          cudnn().ConvolutionBackwardData(dnn, &kOne, weight_, o.weight, y_, o.y, convolution_,
                                          static_cast<cudnnConvolutionBwdDataAlgo_t>(number),
                                          memory.memory, memory.bytes, &beta, x_, written(o.x));
      break;
    case ConvolutionPass::params:
      status = cudnn().ConvolutionBackwardFilter(
          dnn, &kOne, x_, o.x, y_, o.y, convolution_,
          static_cast<cudnnConvolutionBwdFilterAlgo_t>(number), memory.memory, memory.bytes, &beta,
          weight_, written(o.weight));
      break;
  }
  check_dnn(status, cuda::name_of(pass_));
}

cudnnStatus_t CudnnPass::run_with_relu(cudnnHandle_t dnn, int number, const Operands& o,
                                       Workspace memory, const void* bias,
                                       const void* addend) const {
  return cudnn().ConvolutionBiasActivationForward(
      dnn, &kOne, x_, o.x, weight_, o.weight, convolution_,
      static_cast<cudnnConvolutionFwdAlgo_t>(number), memory.memory, memory.bytes,
      addend ? &kOne : &kZero, y_, addend ? addend : o.y, bias_, bias, relu_, y_, written(o.y));
}

std::string CudnnPass::name_of(int number) const {
  const auto all = names(pass_);
  return number >= 0 && number < std::ssize(all) ? all[static_cast<std::size_t>(number)]
                                                 : str("number ", number);
}

}  // namespace doppio::cuda
