#pragma once
// The three passes of a convolution as cuDNN calls.
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "cuda/runtime/cudnn.hpp"
#include "doppio/tensor.hpp"
#include "layers/convolution/convolution_geometry.hpp"

namespace doppio::cuda {

enum class ConvolutionPass { forward, data, params };
/// "backward to the data".
const char* name_of(ConvolutionPass pass);

/// Owns a cuDNN descriptor.
template <class Pointer>
class Descriptor {
 public:
  using Create = cudnnStatus_t (*)(Pointer*);
  using Destroy = cudnnStatus_t (*)(Pointer);
  Descriptor(Create create, Destroy destroy) : descriptor_(nullptr, destroy) {
    Pointer made = nullptr;
    check_dnn(create(&made), "creating a descriptor");
    descriptor_.reset(made);
  }
  operator Pointer() const { return descriptor_.get(); }

 private:
  std::unique_ptr<std::remove_pointer_t<Pointer>, Destroy> descriptor_;
};

/// Returns the element type of a convolution's maps, and of its weights during passes.
inline Element element_of(Precision precision) {
  return precision == Precision::bfloat16 ? Element::bf16 : Element::f32;
}

/// A pass with all tensors in the same layout, NCHW or NHWC, and of the geometry's element type.
///
/// Uses cuDNN's legacy API, one call per pass: it needs a tenth of the code of the graph API.
class CudnnPass {
 public:
  CudnnPass(ConvolutionPass pass, const ConvolutionGeometry& geometry, Layout layout);

  /// The tensors' values; the pass overwrites its result.
  struct Operands {
    const void *x, *weight, *y;
  };
  struct Workspace {
    void* memory;
    std::size_t bytes;
  };
  /// A search result for an algorithm.
  struct Answer {
    int number;
    cudnnMathType_t math;
    float milliseconds;
  };

  Layout layout() const { return layout_; }
  void set_math(cudnnMathType_t math) const;
  /// Sets `bytes` to an algorithm's workspace. Returns false if it does not support this pass.
  bool workspace(cudnnHandle_t dnn, int number, std::size_t& bytes) const;
  /// Returns the largest workspace of the algorithms that need at most `most` bytes.
  std::size_t largest_workspace(cudnnHandle_t dnn, std::size_t most) const;
  /// Returns the deterministic algorithms, fastest first. Overwrites all operands.
  std::vector<Answer> search(cudnnHandle_t dnn, const Operands& operands, Workspace memory) const;
  /// result = the pass + beta * result.
  void run(cudnnHandle_t dnn, int number, const Operands& operands, Workspace memory,
           float beta = 0) const;
  /// y = max(0, forward pass + bias + addend); addend may be null.
  cudnnStatus_t run_with_relu(cudnnHandle_t dnn, int number, const Operands& operands,
                              Workspace memory, const void* bias, const void* addend) const;
  /// For example "WINOGRAD_NONFUSED".
  std::string name_of(int number) const;

 private:
  ConvolutionPass pass_;
  Layout layout_;
  Descriptor<cudnnTensorDescriptor_t> x_, y_, bias_;
  Descriptor<cudnnFilterDescriptor_t> weight_;
  Descriptor<cudnnActivationDescriptor_t> relu_;
  Descriptor<cudnnConvolutionDescriptor_t> convolution_;
};

}  // namespace doppio::cuda
