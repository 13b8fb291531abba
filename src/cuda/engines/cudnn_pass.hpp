#pragma once
// The three passes of a convolution as calls of cuDNN.
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

/// A descriptor of cuDNN's and the functions that make and destroy it.
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

/// The type of a convolution's maps, and of its weights as its passes read them.
inline Element element_of(Precision precision) {
  return precision == Precision::bfloat16 ? Element::bf16 : Element::f32;
}

/// One pass with all tensors in one layout, NCHW or NHWC, and of the geometry's type.
///
/// We call cuDNN's older interface, a call per pass: it covers all that we need in a tenth of what
/// its graphs take.
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
  /// What a search says of an algorithm.
  struct Answer {
    int number;
    cudnnMathType_t math;
    float milliseconds;
  };

  Layout layout() const { return layout_; }
  void set_math(cudnnMathType_t math) const;
  /// Bytes of workspace that an algorithm needs. False if it cannot compute this pass.
  bool workspace(cudnnHandle_t dnn, int number, std::size_t& bytes) const;
  /// The most that an algorithm needs, of those that need at most `most` bytes.
  std::size_t largest_workspace(cudnnHandle_t dnn, std::size_t most) const;
  /// The algorithms that give the same result every time, fastest first. The operands' values,
  /// and those of the result, are lost.
  std::vector<Answer> search(cudnnHandle_t dnn, const Operands& operands, Workspace memory) const;
  /// result = the pass + beta * result.
  void run(cudnnHandle_t dnn, int number, const Operands& operands, Workspace memory,
           float beta = 0) const;
  /// y = max(0, forward pass + bias + addend); without addend if that is null.
  cudnnStatus_t run_with_relu(cudnnHandle_t dnn, int number, const Operands& operands,
                              Workspace memory, const void* bias, const void* addend) const;
  /// "WINOGRAD_NONFUSED", say.
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
