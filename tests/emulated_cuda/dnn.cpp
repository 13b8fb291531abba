// The part of cuDNN that src/cuda uses, for the emulated GPU.
#include "emulated_cuda/dnn.hpp"

#include <cudnn.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "core/bf16.hpp"
#include "emulated_cuda/launch.hpp"

struct cudnnContext {
  cudaStream_t stream = nullptr;
};

/// Sizes and strides of a tensor or filter: n, c, h, w.
struct cudnnTensorStruct {
  std::int64_t size[4] = {}, apart[4] = {};
  bool bf16 = false;

  std::int64_t count() const { return size[0] * size[1] * size[2] * size[3]; }
  std::int64_t at(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) const {
    return n * apart[0] + c * apart[1] + h * apart[2] + w * apart[3];
  }
  cudnnStatus_t set(cudnnTensorFormat_t format, cudnnDataType_t type, int n, int c, int h, int w) {
    if (n < 1 || c < 1 || h < 1 || w < 1) return CUDNN_STATUS_BAD_PARAM;
    bf16 = type == CUDNN_DATA_BFLOAT16;
    size[0] = n, size[1] = c, size[2] = h, size[3] = w;
    const bool last = format == CUDNN_TENSOR_NHWC;
    apart[0] = std::int64_t{c} * h * w;
    apart[1] = last ? 1 : std::int64_t{h} * w;
    apart[2] = last ? std::int64_t{w} * c : w;
    apart[3] = last ? c : 1;
    return CUDNN_STATUS_SUCCESS;
  }
};
struct cudnnFilterStruct : cudnnTensorStruct {};
struct cudnnActivationStruct {};
struct cudnnConvolutionStruct {
  std::int64_t pad[2], stride[2], dilation[2], group = 1;
  cudnnMathType_t math = CUDNN_DEFAULT_MATH;
};

namespace {

using doppio::Bf16;
using doppio::cuda::emulated::enqueue;
using doppio::cuda::emulated::note;

/// Algorithm 0 is the fastest but not deterministic, 3 needs too much memory, 4 rounds factors to
/// TF32 unless forbidden, 2 is correct, and so is the slowest, 1, the only one that fuses bias and
/// ReLU.
enum { kRandom, kFusing, kRight, kHuge, kRounding, kAlgorithms };
constexpr int kBySpeed[] = {kRandom, kHuge, kRounding, kRight, kFusing};

std::size_t workspace_of(int algorithm, const cudnnTensorStruct& x, const cudnnTensorStruct& weight,
                         const cudnnTensorStruct& y) {
  if (algorithm == kHuge) return std::size_t{1} << 40;
  return static_cast<std::size_t>(x.count() + weight.count() + y.count()) * sizeof(float);
}

float to_tf32(float value) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  bits = (bits + 0x1000) & ~0x1FFFu;
  std::memcpy(&value, &bits, sizeof bits);
  return value;
}

/// Accesses a tensor's values as floats.
struct Values {
  cudnnTensorStruct shape;
  void* memory;
  bool rounded = false;  ///< to TF32 as they are read

  float get(std::int64_t i) const {
    if (shape.bf16) return float{static_cast<const Bf16*>(memory)[i]};
    const float value = static_cast<const float*>(memory)[i];
    return rounded ? to_tf32(value) : value;
  }
  void put(std::int64_t i, float value) const {
    if (shape.bf16)
      static_cast<Bf16*>(memory)[i] = Bf16(value);
    else
      static_cast<float*>(memory)[i] = value;
  }
};

Values values(const cudnnTensorStruct* shape, const void* memory, bool rounded = false) {
  doppio::cuda::emulated::refuse_host_pointers(memory);
  return {*shape, const_cast<void*>(memory), rounded};
}

bool rounds(int algorithm, const cudnnConvolutionStruct& conv) {
  return algorithm == kRounding && conv.math != CUDNN_FMA_MATH;
}

bool has_channels_last(const cudnnTensorStruct& x) {
  return x.apart[1] == 1 && x.size[2] * x.size[3] > 1;
}

/// Tensor cores read whole vectors of channels.
bool aligned(const cudnnTensorStruct& x, const cudnnTensorStruct& weight) {
  const int alignment = doppio::cuda::emulated::dnn.alignment;
  return !has_channels_last(x) ||
         (weight.size[0] % alignment == 0 && weight.size[1] % alignment == 0);
}

/// Adds the delays that tests set.
void dawdle(cudaStream_t stream, int algorithm, const cudnnTensorStruct& x) {
  const auto& b = doppio::cuda::emulated::dnn;
  const int pieces = b.slow + (has_channels_last(x) ? b.slow_last : 0) +
                     (algorithm == kFusing ? b.slow_fusing : 0);
  for (int i = 0; i < pieces; ++i) enqueue(stream, [] {});
}

/// Calls f(offset in x, in weights, in y) for all products of a convolution.
template <class F>
void for_each_product(const cudnnTensorStruct& x, const cudnnTensorStruct& weight,
                      const cudnnTensorStruct& y, const cudnnConvolutionStruct& conv, F f) {
  const std::int64_t outputs = y.size[1] / conv.group, channels = weight.size[1];
  for (std::int64_t n = 0; n < y.size[0]; ++n)
    for (std::int64_t o = 0; o < y.size[1]; ++o)
      for (std::int64_t oh = 0; oh < y.size[2]; ++oh)
        for (std::int64_t ow = 0; ow < y.size[3]; ++ow)
          for (std::int64_t c = 0; c < channels; ++c)
            for (std::int64_t kh = 0; kh < weight.size[2]; ++kh)
              for (std::int64_t kw = 0; kw < weight.size[3]; ++kw) {
                const std::int64_t h = oh * conv.stride[0] - conv.pad[0] + kh * conv.dilation[0];
                const std::int64_t w = ow * conv.stride[1] - conv.pad[1] + kw * conv.dilation[1];
                if (h < 0 || h >= x.size[2] || w < 0 || w >= x.size[3]) continue;
                f(x.at(n, o / outputs * channels + c, h, w), weight.at(o, c, kh, kw),
                  y.at(n, o, oh, ow));
              }
}

bool fits(const cudnnTensorStruct& x, const cudnnTensorStruct& weight, const cudnnTensorStruct& y,
          const cudnnConvolutionStruct& conv, int algorithm, const void* workspace,
          std::size_t bytes) {
  for (int axis = 0; axis < 2; ++axis) {
    const std::int64_t span = conv.dilation[axis] * (weight.size[2 + axis] - 1) + 1;
    const std::int64_t room = x.size[2 + axis] + 2 * conv.pad[axis] - span;
    if (room < 0 || y.size[2 + axis] != room / conv.stride[axis] + 1) return false;
  }
  return algorithm >= 0 && algorithm < kAlgorithms && aligned(x, weight) &&
         bytes >= workspace_of(algorithm, x, weight, y) && workspace && x.size[0] == y.size[0] &&
         x.size[1] == weight.size[1] * conv.group && y.size[1] == weight.size[0] &&
         x.bf16 == y.bf16 && x.bf16 == weight.bf16;
}

/// Fills a workspace with garbage, because its contents after a call are undefined.
void spoil(void* workspace, std::size_t bytes) { std::memset(workspace, 0xFF, bytes); }

/// result = alpha * sums of products + beta * result.
template <class Places>
void sum(const Values& result, float alpha, float beta, Places for_each) {
  std::vector<double> sums(static_cast<std::size_t>(result.shape.count()));
  for_each(
      [&](std::int64_t place, float product) { sums[static_cast<std::size_t>(place)] += product; });
  for (std::int64_t i = 0; i < result.shape.count(); ++i)
    result.put(i, static_cast<float>(alpha * sums[static_cast<std::size_t>(i)] +
                                     (beta == 0 ? 0 : beta * result.get(i))));
}

float scale(const void* number) { return *static_cast<const float*>(number); }

/// `x`, `weight` and `y` are the shapes, `result` has one of them.
template <class Found, class Algorithm>
cudnnStatus_t find(cudaStream_t stream, const Values& result, const cudnnTensorStruct& x,
                   const cudnnTensorStruct& weight, const cudnnTensorStruct& y, int most,
                   std::size_t bytes, int* count, Found* found) {
  if (most < kAlgorithms) return CUDNN_STATUS_BAD_PARAM;
  if (doppio::cuda::emulated::dnn.finds_nothing) return CUDNN_STATUS_NOT_SUPPORTED;
  enqueue(stream, [=] {  // a search overwrites the result
    for (std::int64_t i = 0; i < result.shape.count(); ++i) result.put(i, 1e30f);
  });
  for (int i = 0; i < kAlgorithms; ++i) {
    const int algorithm = kBySpeed[i];
    found[i] = {};
    found[i].algo = static_cast<Algorithm>(algorithm);
    found[i].time = static_cast<float>(i + 1);
    found[i].memory = workspace_of(algorithm, x, weight, y);
    found[i].status = !aligned(x, weight)        ? CUDNN_STATUS_NOT_SUPPORTED
                      : found[i].memory <= bytes ? CUDNN_STATUS_SUCCESS
                                                 : CUDNN_STATUS_ALLOC_FAILED;
    found[i].determinism = algorithm == kRandom ? CUDNN_NON_DETERMINISTIC : CUDNN_DETERMINISTIC;
    // Ignores the requested math type, as real searches may.
    found[i].mathType = algorithm == kRounding ? CUDNN_DEFAULT_MATH : CUDNN_FMA_MATH;
  }
  *count = kAlgorithms;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t size_of(int algorithm, const cudnnTensorStruct& x, const cudnnTensorStruct& weight,
                      const cudnnTensorStruct& y, std::size_t* bytes) {
  if (algorithm < 0 || algorithm >= kAlgorithms || !aligned(x, weight))
    return CUDNN_STATUS_NOT_SUPPORTED;
  *bytes = workspace_of(algorithm, x, weight, y);
  return CUDNN_STATUS_SUCCESS;
}

/// Common arguments of the calls that compute.
struct Call {
  cudnnHandle_t handle;
  cudnnConvolutionStruct conv;
  int algorithm;
  void* workspace;
  std::size_t bytes;
};

/// y = alpha * convolution + beta * y, followed by `finish`, in one work item.
template <class Finish>
cudnnStatus_t forward(const Call& call, Values x, Values weight, const Values& y, float alpha,
                      float beta, Finish finish) {
  if (!fits(x.shape, weight.shape, y.shape, call.conv, call.algorithm, call.workspace, call.bytes))
    return CUDNN_STATUS_BAD_PARAM;
  note("cuDNN");
  x.rounded = weight.rounded = rounds(call.algorithm, call.conv);
  dawdle(call.handle->stream, call.algorithm, x.shape);
  enqueue(call.handle->stream, [=] {
    spoil(call.workspace, call.bytes);
    sum(y, alpha, beta, [&](auto add) {
      for_each_product(x.shape, weight.shape, y.shape, call.conv,
                       [&](std::int64_t from, std::int64_t by, std::int64_t to) {
        add(to, x.get(from) * weight.get(by));
      });
    });
    finish();
  });
  return CUDNN_STATUS_SUCCESS;
}

template <class Struct>
cudnnStatus_t create(Struct** made) {
  *made = new Struct{};
  return CUDNN_STATUS_SUCCESS;
}
template <class Struct>
cudnnStatus_t destroy(Struct* made) {
  delete made;
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace

extern "C" {

size_t cudnnGetVersion() { return CUDNN_VERSION; }
const char* cudnnGetErrorString(cudnnStatus_t status) {
  return status == CUDNN_STATUS_SUCCESS ? "success" : "refused by the emulated cuDNN";
}
cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) { return create(handle); }
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) { return destroy(handle); }
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t* made) { return create(made); }
cudnnStatus_t cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t made) { return destroy(made); }
cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t tensor, cudnnTensorFormat_t format,
                                         cudnnDataType_t type, int n, int c, int h, int w) {
  return tensor->set(format, type, n, c, h, w);
}
cudnnStatus_t cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t* made) { return create(made); }
cudnnStatus_t cudnnDestroyFilterDescriptor(cudnnFilterDescriptor_t made) { return destroy(made); }
cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t filter, cudnnDataType_t type,
                                         cudnnTensorFormat_t format, int k, int c, int h, int w) {
  return filter->set(format, type, k, c, h, w);
}
cudnnStatus_t cudnnCreateActivationDescriptor(cudnnActivationDescriptor_t* made) {
  return create(made);
}
cudnnStatus_t cudnnDestroyActivationDescriptor(cudnnActivationDescriptor_t made) {
  return destroy(made);
}
cudnnStatus_t cudnnSetActivationDescriptor(cudnnActivationDescriptor_t, cudnnActivationMode_t mode,
                                           cudnnNanPropagation_t, double) {
  return mode == CUDNN_ACTIVATION_RELU ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED;
}

cudnnStatus_t cudnnCreateConvolutionDescriptor(cudnnConvolutionDescriptor_t* made) {
  return create(made);
}
cudnnStatus_t cudnnDestroyConvolutionDescriptor(cudnnConvolutionDescriptor_t made) {
  return destroy(made);
}
cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t conv, int pad_h,
                                              int pad_w, int stride_h, int stride_w, int dilation_h,
                                              int dilation_w, cudnnConvolutionMode_t mode,
                                              cudnnDataType_t type) {
  if (mode != CUDNN_CROSS_CORRELATION || type != CUDNN_DATA_FLOAT) return CUDNN_STATUS_BAD_PARAM;
  *conv = {{pad_h, pad_w}, {stride_h, stride_w}, {dilation_h, dilation_w}};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolutionGroupCount(cudnnConvolutionDescriptor_t conv, int groups) {
  conv->group = groups;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t conv, cudnnMathType_t math) {
  conv->math = math;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnFindConvolutionForwardAlgorithmEx(
    cudnnHandle_t handle, cudnnTensorDescriptor_t x, const void*, cudnnFilterDescriptor_t weight,
    const void*, cudnnConvolutionDescriptor_t, cudnnTensorDescriptor_t y_shape, void* y, int most,
    int* count, cudnnConvolutionFwdAlgoPerf_t* found, void*, size_t bytes) {
  return find<cudnnConvolutionFwdAlgoPerf_t, cudnnConvolutionFwdAlgo_t>(
      handle->stream, values(y_shape, y), *x, *weight, *y_shape, most, bytes, count, found);
}
cudnnStatus_t cudnnFindConvolutionBackwardDataAlgorithmEx(
    cudnnHandle_t handle, cudnnFilterDescriptor_t weight, const void*, cudnnTensorDescriptor_t dy,
    const void*, cudnnConvolutionDescriptor_t, cudnnTensorDescriptor_t dx_shape, void* dx, int most,
    int* count, cudnnConvolutionBwdDataAlgoPerf_t* found, void*, size_t bytes) {
  return find<cudnnConvolutionBwdDataAlgoPerf_t, cudnnConvolutionBwdDataAlgo_t>(
      handle->stream, values(dx_shape, dx), *dx_shape, *weight, *dy, most, bytes, count, found);
}
cudnnStatus_t cudnnFindConvolutionBackwardFilterAlgorithmEx(
    cudnnHandle_t handle, cudnnTensorDescriptor_t x, const void*, cudnnTensorDescriptor_t dy,
    const void*, cudnnConvolutionDescriptor_t, cudnnFilterDescriptor_t dw_shape, void* dw, int most,
    int* count, cudnnConvolutionBwdFilterAlgoPerf_t* found, void*, size_t bytes) {
  return find<cudnnConvolutionBwdFilterAlgoPerf_t, cudnnConvolutionBwdFilterAlgo_t>(
      handle->stream, values(dw_shape, dw), *x, *dw_shape, *dy, most, bytes, count, found);
}

cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(cudnnHandle_t, cudnnTensorDescriptor_t x,
                                                      cudnnFilterDescriptor_t weight,
                                                      cudnnConvolutionDescriptor_t,
                                                      cudnnTensorDescriptor_t y,
                                                      cudnnConvolutionFwdAlgo_t algorithm,
                                                      size_t* bytes) {
  return size_of(algorithm, *x, *weight, *y, bytes);
}
cudnnStatus_t cudnnGetConvolutionBackwardDataWorkspaceSize(
    cudnnHandle_t, cudnnFilterDescriptor_t weight, cudnnTensorDescriptor_t dy,
    cudnnConvolutionDescriptor_t, cudnnTensorDescriptor_t dx,
    cudnnConvolutionBwdDataAlgo_t algorithm, size_t* bytes) {
  return size_of(algorithm, *dx, *weight, *dy, bytes);
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterWorkspaceSize(
    cudnnHandle_t, cudnnTensorDescriptor_t x, cudnnTensorDescriptor_t dy,
    cudnnConvolutionDescriptor_t, cudnnFilterDescriptor_t dw,
    cudnnConvolutionBwdFilterAlgo_t algorithm, size_t* bytes) {
  return size_of(algorithm, *x, *dw, *dy, bytes);
}

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void* alpha,
                                      cudnnTensorDescriptor_t x_shape, const void* x_memory,
                                      cudnnFilterDescriptor_t weight_shape, const void* weights,
                                      cudnnConvolutionDescriptor_t conv,
                                      cudnnConvolutionFwdAlgo_t algorithm, void* workspace,
                                      size_t bytes, const void* beta,
                                      cudnnTensorDescriptor_t y_shape, void* y_memory) {
  return forward({handle, *conv, algorithm, workspace, bytes}, values(x_shape, x_memory),
                 values(weight_shape, weights), values(y_shape, y_memory), scale(alpha),
                 scale(beta), [] {});
}

cudnnStatus_t cudnnConvolutionBiasActivationForward(
    cudnnHandle_t handle, const void* alpha, cudnnTensorDescriptor_t x_shape, const void* x,
    cudnnFilterDescriptor_t weight_shape, const void* weights, cudnnConvolutionDescriptor_t conv,
    cudnnConvolutionFwdAlgo_t algorithm, void* workspace, size_t bytes, const void* beta,
    cudnnTensorDescriptor_t z_shape, const void* z_memory, cudnnTensorDescriptor_t bias_shape,
    const void* bias_memory, cudnnActivationDescriptor_t, cudnnTensorDescriptor_t y_shape,
    void* y_memory) {
  if (static_cast<int>(algorithm) != kFusing || conv->group > 2) return CUDNN_STATUS_NOT_SUPPORTED;
  if (bias_shape->bf16 != y_shape->bf16 || bias_shape->count() != y_shape->size[1])
    return CUDNN_STATUS_BAD_PARAM;
  const Values bias = values(bias_shape, bias_memory), y = values(y_shape, y_memory),
               z = values(z_shape, z_memory);
  return forward({handle, *conv, algorithm, workspace, bytes}, values(x_shape, x),
                 values(weight_shape, weights), y, scale(alpha), 0,
                 [=, share = scale(beta)] {
    const auto& size = y.shape.size;
    for (std::int64_t n = 0; n < size[0]; ++n)
      for (std::int64_t c = 0; c < size[1]; ++c)
        for (std::int64_t h = 0; h < size[2]; ++h)
          for (std::int64_t w = 0; w < size[3]; ++w) {
            const std::int64_t at = y.shape.at(n, c, h, w);
            const float sum = y.get(at) + bias.get(c) + (share == 0 ? 0 : share * z.get(at));
            y.put(at, sum < 0 ? 0 : sum);
          }
  });
}

cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t handle, const void* alpha,
                                           cudnnFilterDescriptor_t weight_shape,
                                           const void* weights, cudnnTensorDescriptor_t dy_shape,
                                           const void* dy_memory, cudnnConvolutionDescriptor_t conv,
                                           cudnnConvolutionBwdDataAlgo_t algorithm, void* workspace,
                                           size_t bytes, const void* beta,
                                           cudnnTensorDescriptor_t dx_shape, void* dx_memory) {
  if (!fits(*dx_shape, *weight_shape, *dy_shape, *conv, algorithm, workspace, bytes))
    return CUDNN_STATUS_BAD_PARAM;
  note("cuDNN");
  const bool rounded = rounds(algorithm, *conv);
  const Values dx = values(dx_shape, dx_memory), weight = values(weight_shape, weights, rounded),
               dy = values(dy_shape, dy_memory, rounded);
  dawdle(handle->stream, algorithm, *dx_shape);
  enqueue(handle->stream, [=, c = *conv, a = scale(alpha), b = scale(beta)] {
    spoil(workspace, bytes);
    sum(dx, a, b, [&](auto add) {
      for_each_product(dx.shape, weight.shape, dy.shape, c,
                       [&](std::int64_t to, std::int64_t by, std::int64_t from) {
        add(to, dy.get(from) * weight.get(by));
      });
    });
  });
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnConvolutionBackwardFilter(
    cudnnHandle_t handle, const void* alpha, cudnnTensorDescriptor_t x_shape, const void* x_memory,
    cudnnTensorDescriptor_t dy_shape, const void* dy_memory, cudnnConvolutionDescriptor_t conv,
    cudnnConvolutionBwdFilterAlgo_t algorithm, void* workspace, size_t bytes, const void* beta,
    cudnnFilterDescriptor_t dw_shape, void* dw_memory) {
  if (!fits(*x_shape, *dw_shape, *dy_shape, *conv, algorithm, workspace, bytes))
    return CUDNN_STATUS_BAD_PARAM;
  note("cuDNN");
  const bool rounded = rounds(algorithm, *conv);
  const Values x = values(x_shape, x_memory, rounded), dw = values(dw_shape, dw_memory),
               dy = values(dy_shape, dy_memory, rounded);
  dawdle(handle->stream, algorithm, *x_shape);
  enqueue(handle->stream, [=, c = *conv, a = scale(alpha), b = scale(beta)] {
    spoil(workspace, bytes);
    sum(dw, a, b, [&](auto add) {
      for_each_product(x.shape, dw.shape, dy.shape, c,
                       [&](std::int64_t from, std::int64_t to, std::int64_t by) {
        add(to, x.get(from) * dy.get(by));
      });
    });
  });
  return CUDNN_STATUS_SUCCESS;
}

}  // extern "C"
