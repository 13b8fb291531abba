#include <cuda_runtime_api.h>
#include <glog/logging.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

#include "core/accelerator.hpp"
#include "core/accumulate.hpp"
#include "cuda/check.hpp"
#include "cuda/convolution_kernels.hpp"
#include "cuda/cudnn.hpp"
#include "layers/engines/convolution.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

namespace {

using cuda::check_dnn;
using cuda::ConvolutionAlgorithm;
using cuda::cudnn;

/// A descriptor and what makes and destroys it.
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

/// How values lie for products of this precision. Tensor cores want channels last; sums of
/// unrounded products are made by kernels that are best at plain maps.
Layout layout_for(Precision precision) {
  switch (precision) {
    case Precision::bfloat16:
      return Layout::bf16;
    case Precision::tf32:
      return Layout::channels_last;
    case Precision::float32:
      break;
  }
  return Layout::plain;
}

/// Most bytes of workspace that an algorithm may take, which all convolutions share: an eighth of
/// the current card's, but no more than 4 GiB.
std::size_t most_workspace() {
  std::size_t free = 0, total = 0;
  cuda::check(cudaMemGetInfo(&free, &total), "asking for the memory");
  return std::min(std::size_t{4} << 30, total / 8);
}

/// One of the three passes: its algorithm, once that is known.
struct Pass {
  const char* name;
  Descriptor<cudnnConvolutionDescriptor_t> convolution;
  bool known = false, usable = false;
  ConvolutionAlgorithm algorithm{};
  std::size_t workspace = 0;  ///< bytes

  explicit Pass(const char* n)
      : name(n),
        convolution(cudnn().CreateConvolutionDescriptor, cudnn().DestroyConvolutionDescriptor) {}
};

/// Algorithms are chosen by measurement the first time that a card meets a geometry, among those
/// whose results are the same every time; a pass for which there is none is left to the gemm
/// engine.
///
/// We call cuDNN's older interface, a call per pass: it covers all that we need in a tenth of what
/// its graphs take.
class CudnnConvolution final : public ConvolutionEngine {
 public:
  explicit CudnnConvolution(const ConvolutionGeometry& g)
      : g_(g),
        layout_(layout_for(g.precision)),
        outs_(g.windows.out_count()),
        positions_(g.batch * outs_),
        x_desc_(cudnn().CreateTensorDescriptor, cudnn().DestroyTensorDescriptor),
        y_desc_(cudnn().CreateTensorDescriptor, cudnn().DestroyTensorDescriptor),
        bias_desc_(cudnn().CreateTensorDescriptor, cudnn().DestroyTensorDescriptor),
        weight_desc_(cudnn().CreateFilterDescriptor, cudnn().DestroyFilterDescriptor),
        relu_desc_(cudnn().CreateActivationDescriptor, cudnn().DestroyActivationDescriptor) {
    const WindowAxis &h = g.windows.axis[0], &w = g.windows.axis[1];
    describe(x_desc_, g.batch, g.channels, h.in, w.in);
    describe(y_desc_, g.batch, g.num_output, h.out, w.out);
    describe(bias_desc_, 1, g.num_output, 1, 1);
    check_dnn(cudnn().SetFilter4dDescriptor(weight_desc_, type(), format(), small(g.num_output),
                                            small(g.channels / g.group), small(h.kernel),
                                            small(w.kernel)),
              "describing weights");
    check_dnn(
        cudnn().SetActivationDescriptor(relu_desc_, CUDNN_ACTIVATION_RELU, CUDNN_PROPAGATE_NAN, 0),
        "describing a ReLU");
    for (Pass* pass : {&forward_, &data_, &params_}) {
      check_dnn(cudnn().SetConvolution2dDescriptor(pass->convolution, small(h.pad), small(w.pad),
                                                   small(h.stride), small(w.stride),
                                                   small(h.dilation), small(w.dilation),
                                                   CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
                "describing a convolution");
      check_dnn(cudnn().SetConvolutionGroupCount(pass->convolution, small(g.group)),
                "describing groups");
      set_math(*pass, math());
    }
  }

  void forward(Context& ctx, const Tensor& x_, const Tensor& weight_, const Tensor* bias_,
               Tensor& y_) override {
    const void* x = x_.read(ctx, layout_);
    const void* weight = weight_.read(ctx, layout_);
    const float* bias = bias_ ? bias_->read(ctx) : nullptr;
    void* y = y_.write(ctx, layout_);
    if (!choose_forward(ctx, x, weight, y)) {
      fallback().forward(ctx, x_, weight_, bias_, y_);
      return finish(ctx, nullptr, y_);
    }
    if (relu_ && bias && fused_forward(ctx, x, weight, bias, y)) return;
    check_dnn(cudnn().ConvolutionForward(
                  dnn(ctx), &kOne, x_desc_, x, weight_desc_, weight, forward_.convolution,
                  static_cast<cudnnConvolutionFwdAlgo_t>(forward_.algorithm.number),
                  memory_for(ctx, forward_), forward_.workspace, &kZero, y_desc_, y),
              forward_.name);
    finish(ctx, bias, y_);
  }

  bool begin_backward(Context& ctx, Tensor& dy_, Tensor* dbias) override {
    if (!masks_) return false;
    const float* y = relu_->read(ctx, layout_);
    float* dy = dy_.update(ctx, layout_);
    if (dbias) {
      sum_bias_gradient(ctx, dy, y, dy, add_to(*dbias, ctx));
      return true;
    }
    const Index n = positions_ * g_.num_output;
    if (layout_ == Layout::bf16)
      mask_gradient(ctx, n, reinterpret_cast<const Bf16*>(y), reinterpret_cast<Bf16*>(dy));
    else
      mask_gradient(ctx, n, y, dy);
    return false;
  }

  void backward_data(Context& ctx, const Tensor& dy_, const Tensor& weight_, Tensor& dx_) override {
    const void* dy = dy_.read(ctx, layout_);
    const void* weight = weight_.read(ctx, layout_);
    void* dx = dx_.write(ctx, layout_);
    if (!choose_data(ctx, weight, dy, dx)) return fallback().backward_data(ctx, dy_, weight_, dx_);
    check_dnn(cudnn().ConvolutionBackwardData(
                  dnn(ctx), &kOne, weight_desc_, weight, y_desc_, dy, data_.convolution,
                  static_cast<cudnnConvolutionBwdDataAlgo_t>(data_.algorithm.number),
                  memory_for(ctx, data_), data_.workspace, &kZero, x_desc_, dx),
              data_.name);
  }

  void backward_params(Context& ctx, const Tensor& x_, const Tensor& dy_, Tensor* dweight,
                       Tensor* dbias) override {
    const float* dy = dy_.read(ctx, layout_);
    if (dbias) sum_bias_gradient(ctx, dy, nullptr, nullptr, add_to(*dbias, ctx));
    if (!dweight) return;
    const void* x = x_.read(ctx, layout_);
    if (!choose_params(ctx, x, dy))
      return fallback().backward_params(ctx, x_, dy_, dweight, nullptr);
    // Plain gradients are added to where they are, others wait behind cuDNN's workspace.
    const AddTo total = add_to(*dweight, ctx);
    const bool in_place = layout_ == Layout::plain;
    float* memory = memory_for(ctx, params_, in_place ? 0 : weights());
    void* result = in_place ? total.values : memory + floats(params_.workspace);
    check_dnn(cudnn().ConvolutionBackwardFilter(
                  dnn(ctx), &kOne, x_desc_, x, y_desc_, dy, params_.convolution,
                  static_cast<cudnnConvolutionBwdFilterAlgo_t>(params_.algorithm.number), memory,
                  params_.workspace, in_place ? &total.beta : &kZero, weight_desc_, result),
              params_.name);
    const Index channels = g_.channels / g_.group, pixels = g_.windows.kernel_count();
    if (layout_ == Layout::channels_last)
      add_weight_gradient(ctx, g_.num_output, channels, pixels, static_cast<float*>(result), total);
    else if (layout_ == Layout::bf16)
      add_weight_gradient(ctx, g_.num_output, channels, pixels, static_cast<Bf16*>(result), total);
  }

  bool fuse_relu(const Tensor& y, bool backward) override {
    relu_ = &y;
    masks_ = backward;
    return true;
  }

  bool fuse_sum(const Tensor* addend) override {
    if (addend != addend_) relu_ = nullptr;
    addend_ = addend;
    return addend != nullptr;
  }

 private:
  static constexpr float kOne = 1, kZero = 0;
  static constexpr int kMostAlgorithms = 16;

  static int small(Index n) { return static_cast<int>(n); }
  static Index floats(std::size_t bytes) { return static_cast<Index>((bytes + 255) / 256 * 64); }
  static cudnnHandle_t dnn(Context& ctx) {
    return static_cast<cudnnHandle_t>(ctx.accelerator()->dnn());
  }

  cudnnDataType_t type() const {
    return layout_ == Layout::bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
  }
  cudnnTensorFormat_t format() const {
    return layout_ == Layout::plain ? CUDNN_TENSOR_NCHW : CUDNN_TENSOR_NHWC;
  }
  /// Without permission, products of floats are not rounded to TF32.
  cudnnMathType_t math() const {
    return layout_ == Layout::plain ? CUDNN_FMA_MATH : CUDNN_TENSOR_OP_MATH;
  }
  Index weights() const {
    return g_.num_output * (g_.channels / g_.group) * g_.windows.kernel_count();
  }

  void describe(cudnnTensorDescriptor_t tensor, Index n, Index c, Index h, Index w) const {
    check_dnn(cudnn().SetTensor4dDescriptor(tensor, format(), type(), small(n), small(c), small(h),
                                            small(w)),
              "describing a tensor");
  }

  static void set_math(const Pass& pass, cudnnMathType_t math) {
    check_dnn(cudnn().SetConvolutionMathType(pass.convolution, math), "describing products");
  }

  /// A pass's workspace and so many floats behind it.
  static float* memory_for(Context& ctx, const Pass& pass, Index behind = 0) {
    return ctx.workspace(floats(pass.workspace) + behind);
  }

  /// What is behind the product: y += bias + addend, then the ReLU, as far as they are there.
  void finish(Context& ctx, const float* bias, Tensor& y_) {
    if (!bias && !addend_ && !relu_) return;
    const float* addend = addend_ ? addend_->read(ctx, layout_) : nullptr;
    float* y = y_.update(ctx, layout_);
    if (layout_ == Layout::plain)
      add_plain(ctx, g_.batch, g_.num_output, outs_, bias, addend, relu_ != nullptr, y);
    else if (layout_ == Layout::channels_last)
      add_last(ctx, positions_, g_.num_output, bias, addend, relu_ != nullptr, y);
    else
      add_last(ctx, positions_, g_.num_output, bias, reinterpret_cast<const Bf16*>(addend),
               relu_ != nullptr, reinterpret_cast<Bf16*>(y));
  }

  /// Forward with bias, addend and ReLU in one go. False: this algorithm cannot.
  bool fused_forward(Context& ctx, const void* x, const void* weight, const float* bias, void* y) {
    if (!fuses_) return false;
    float* memory = memory_for(ctx, forward_, g_.num_output);
    const void* rounded = bias;
    if (layout_ == Layout::bf16) {
      auto* to = reinterpret_cast<Bf16*>(memory + floats(forward_.workspace));
      round_to_bf16(ctx, g_.num_output, bias, to);
      rounded = to;
    }
    const void* addend = addend_ ? addend_->read(ctx, layout_) : y;
    const cudnnStatus_t status = cudnn().ConvolutionBiasActivationForward(
        dnn(ctx), &kOne, x_desc_, x, weight_desc_, weight, forward_.convolution,
        static_cast<cudnnConvolutionFwdAlgo_t>(forward_.algorithm.number), memory,
        forward_.workspace, addend_ ? &kOne : &kZero, y_desc_, addend, bias_desc_, rounded,
        relu_desc_, y_desc_, y);
    if (status == CUDNN_STATUS_SUCCESS) return true;
    VLOG(1) << "cuDNN does not fuse bias and ReLU with " << g_.text() << ": "
            << cudnn().GetErrorString(status);
    fuses_ = false;
    return false;
  }

  /// Adds the sums of dy to dbias; if there is y, dy is masked by it first, in place.
  void sum_bias_gradient(Context& ctx, const float* dy, const float* y, float* masked,
                         const AddTo& dbias) {
    const bool plain = layout_ == Layout::plain;
    const Index outputs = g_.num_output, pieces = plain ? g_.batch : pieces_of(positions_);
    float* sums = ctx.workspace((pieces + 1) * outputs);
    if (plain)
      sum_maps(ctx, g_.batch, outputs, outs_, {dy, y, masked}, sums);
    else if (layout_ == Layout::channels_last)
      sum_rows<float>(ctx, positions_, outputs, {dy, y, masked}, sums);
    else
      sum_rows<Bf16>(ctx, positions_, outputs,
                     {reinterpret_cast<const Bf16*>(dy), reinterpret_cast<const Bf16*>(y),
                      reinterpret_cast<Bf16*>(masked)},
                     sums);
    add_sums(ctx, pieces, outputs, sums, dbias);
  }

  bool choose_forward(Context& ctx, const void* x, const void* weight, void* y) {
    return choose<cudnnConvolutionFwdAlgoPerf_t>(
        ctx, forward_, 0,
        [&](void* memory, std::size_t bytes, int* count, cudnnConvolutionFwdAlgoPerf_t* found) {
      return cudnn().FindConvolutionForwardAlgorithmEx(
          dnn(ctx), x_desc_, x, weight_desc_, weight, forward_.convolution, y_desc_, y,
          kMostAlgorithms, count, found, memory, bytes);
        },
        [&](int number, std::size_t* bytes) {
      return cudnn().GetConvolutionForwardWorkspaceSize(
          dnn(ctx), x_desc_, weight_desc_, forward_.convolution, y_desc_,
          static_cast<cudnnConvolutionFwdAlgo_t>(number), bytes);
    });
  }

  bool choose_data(Context& ctx, const void* weight, const void* dy, void* dx) {
    return choose<cudnnConvolutionBwdDataAlgoPerf_t>(
        ctx, data_, 0,
        [&](void* memory, std::size_t bytes, int* count, cudnnConvolutionBwdDataAlgoPerf_t* found) {
      return cudnn().FindConvolutionBackwardDataAlgorithmEx(
          dnn(ctx), weight_desc_, weight, y_desc_, dy, data_.convolution, x_desc_, dx,
          kMostAlgorithms, count, found, memory, bytes);
        },
        [&](int number, std::size_t* bytes) {
      return cudnn().GetConvolutionBackwardDataWorkspaceSize(
          dnn(ctx), weight_desc_, y_desc_, data_.convolution, x_desc_,
          static_cast<cudnnConvolutionBwdDataAlgo_t>(number), bytes);
    });
  }

  bool choose_params(Context& ctx, const void* x, const void* dy) {
    return choose<cudnnConvolutionBwdFilterAlgoPerf_t>(
        ctx, params_, weights(),
        [&](float* memory, std::size_t bytes, int* count,
            cudnnConvolutionBwdFilterAlgoPerf_t* found) {
      return cudnn().FindConvolutionBackwardFilterAlgorithmEx(
          dnn(ctx), x_desc_, x, y_desc_, dy, params_.convolution, weight_desc_,
          memory + floats(bytes), kMostAlgorithms, count, found, memory, bytes);
        },
        [&](int number, std::size_t* bytes) {
      return cudnn().GetConvolutionBackwardFilterWorkspaceSize(
          dnn(ctx), x_desc_, y_desc_, params_.convolution, weight_desc_,
          static_cast<cudnnConvolutionBwdFilterAlgo_t>(number), bytes);
    });
  }

  /// True if cuDNN has an algorithm for this pass, which is chosen at the first call. `find` may
  /// use so many bytes of workspace and `behind` floats after them.
  template <class Found, class Find, class SizeOf>
  bool choose(Context& ctx, Pass& pass, Index behind, Find find, SizeOf size_of) {
    if (pass.known) return pass.usable;
    const std::size_t most = std::min(most_workspace(), windows_bytes());
    const auto usable = [&](const ConvolutionAlgorithm& a) {
      if (a.number == kNone) return true;
      set_math(pass, a.math);
      return size_of(a.number, &pass.workspace) == CUDNN_STATUS_SUCCESS && pass.workspace <= most;
    };
    const auto search = [&]() -> cuda::FoundAlgorithm {
      set_math(pass, math());
      Found found[kMostAlgorithms];
      int count = 0;
      const Memory memory(ctx, most, behind);
      const bool found_any =
          find(memory.floats, memory.bytes, &count, found) == CUDNN_STATUS_SUCCESS;
      const bool lasting = found_any && memory.bytes == most;
      if (found_any)
        for (const Found& f : std::span(found, static_cast<std::size_t>(count)))
          if (const ConvolutionAlgorithm a{f.algo, f.mathType};
              f.status == CUDNN_STATUS_SUCCESS && f.determinism == CUDNN_DETERMINISTIC && usable(a))
            return {a, lasting};
      return {{kNone, math()}, lasting};
    };
    pass.algorithm = cuda::remembered_algorithm(str(pass.name, " of ", g_.text()), usable, search);
    pass.known = true;
    pass.usable = pass.algorithm.number != kNone;
    VLOG(1) << "cuDNN's algorithm for " << pass.name << " of " << g_.text() << ": "
            << (pass.usable ? str(pass.algorithm.number, ", ", pass.workspace >> 10, " KiB")
                            : "none");
    return pass.usable;
  }

  static constexpr int kNone = -1;

  /// Enough for all windows at once, in bytes.
  std::size_t windows_bytes() const {
    const Index windows = g_.channels * g_.windows.kernel_count() * positions_;
    return (static_cast<std::size_t>(windows) * sizeof(float) + (1 << 20)) / 1024 * 1024;
  }

  /// What a search may write to: as much workspace as may be used later, or half of it, ...
  struct Memory {
    Accelerator& device;
    std::size_t bytes;
    float* floats = nullptr;

    Memory(Context& ctx, std::size_t most, Index behind) : device(*ctx.accelerator()), bytes(most) {
      while (!floats) try {
          floats = static_cast<float*>(
              device.allocate(bytes + static_cast<std::size_t>(behind) * sizeof(float)));
        } catch (const Error&) {
          if (bytes < 4096) throw;
          bytes = bytes / 2048 * 1024;
        }
    }
    ~Memory() { device.release(floats); }
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;
  };

  /// For passes that cuDNN has no algorithm for; without what is fused.
  ConvolutionEngine& fallback() {
    if (!fallback_) fallback_ = make_batched_gemm_convolution(g_);
    return *fallback_;
  }

  const ConvolutionGeometry g_;
  const Layout layout_;
  const Index outs_, positions_;
  const Descriptor<cudnnTensorDescriptor_t> x_desc_, y_desc_, bias_desc_;
  const Descriptor<cudnnFilterDescriptor_t> weight_desc_;
  const Descriptor<cudnnActivationDescriptor_t> relu_desc_;
  Pass forward_{"forward"}, data_{"backward to the data"}, params_{"backward to the weights"};
  std::unique_ptr<ConvolutionEngine> fallback_;
  const Tensor* relu_ = nullptr;  // the result of a fused one
  const Tensor* addend_ = nullptr;
  bool masks_ = false, fuses_ = true;
};

}  // namespace

std::string why_not_cudnn_convolution(const ConvolutionGeometry& g) {
  if (g.windows.axes != 2) return "it is for two spatial axes";
  if (g.force_nd_im2col) return "force_nd_im2col asks for im2col";
  if (g.overhangs()) return "a window reaches beyond the padded map";
  if (g.precision != Precision::float32 && !g.four_axes) return "channels are not the second axis";
  const Index x = g.batch * g.channels * g.windows.in_count();
  const Index y = g.batch * g.num_output * g.windows.out_count();
  if (x == 0) return "the bottom is empty";
  if (std::max({x, y, g.weight_shape().count()}) > std::numeric_limits<int>::max())
    return "it counts to 2^31 only";
  return cudnn().why_not;
}

std::unique_ptr<ConvolutionEngine> make_cudnn_convolution(const ConvolutionGeometry& geometry) {
  return std::make_unique<CudnnConvolution>(geometry);
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
