#include <algorithm>

#include "cuda/kernels/convolution_kernels.hpp"
#include "cuda/kernels/divider.hpp"
#include "layers/convolution/engine.hpp"
#include "layers/support/sizes.hpp"
#include "math/accumulate.hpp"
#include "math/gemm.hpp"
#include "math/kernel.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

namespace {

using cuda::Divider;

/// 2-D windows with precomputed dividers. Sizes of a map and a kernel fit into 31 bits.
struct Windows2d {
  WindowAxis h, w;
  Divider kernels, kernel_w, out_w, stride_h, stride_w, in_w;

  explicit Windows2d(const Windows& windows)
      : h(windows.axis[0]),
        w(windows.axis[1]),
        kernels(divider(h.kernel * w.kernel)),
        kernel_w(divider(w.kernel)),
        out_w(divider(w.out)),
        stride_h(divider(h.stride)),
        stride_w(divider(w.stride)),
        in_w(divider(w.in)) {}

  static Divider divider(Index n) { return Divider(static_cast<std::uint32_t>(n)); }
};

struct Pair {
  Index first, second;
};

/// Returns quotient and remainder of n / divider.
HOST_DEVICE inline Pair divide(const Divider& divider, Index n) {
  const auto small = static_cast<std::uint32_t>(n);
  const std::uint32_t quotient = divider.quotient(small);
  return {quotient, small - quotient * divider.divisor()};
}

/// column[c, kh, kw, n, o] = the element of window o of image n at (c, kh, kw), zero in the
/// padding.
void copy_windows(Context& ctx, Index images, Index channels, const Windows2d& windows,
                  const float* x, float* column) {
  const Index outs = windows.h.out * windows.w.out;
  parallel_for(ctx, {channels * windows.kernels.divisor(), images, outs},
               [=, v = windows] KERNEL(Index row, Index n, Index o) {
    const Pair place = divide(v.kernels, row), kernel = divide(v.kernel_w, place.second),
               out = divide(v.out_w, o);
    const Index ih = out.first * v.h.stride - v.h.pad + kernel.first * v.h.dilation;
    const Index iw = out.second * v.w.stride - v.w.pad + kernel.second * v.w.dilation;
    const bool inside = ih >= 0 && ih < v.h.in && iw >= 0 && iw < v.w.in;
    column[(row * images + n) * outs + o] =
        inside ? x[((n * channels + place.first) * v.h.in + ih) * v.w.in + iw] : 0.0f;
  });
}

/// The adjoint of copy_windows: dx[n, c, i] = the sum of all elements that it copied from it.
void gather_windows(Context& ctx, Index images, Index channels, const Windows2d& windows,
                    const float* column, float* dx) {
  const Index outs = windows.h.out * windows.w.out, ins = windows.h.in * windows.w.in;
  parallel_for(ctx, {images, channels, ins}, [=, v = windows] KERNEL(Index n, Index c, Index i) {
    const Pair at = divide(v.in_w, i);
    float sum = 0;
    for (Index kh = 0; kh < v.h.kernel; ++kh) {
      const Index from_h = at.first + v.h.pad - kh * v.h.dilation;
      if (from_h < 0) break;
      const Pair oh = divide(v.stride_h, from_h);
      if (oh.second != 0 || oh.first >= v.h.out) continue;
      for (Index kw = 0; kw < v.w.kernel; ++kw) {
        const Index from_w = at.second + v.w.pad - kw * v.w.dilation;
        if (from_w < 0) break;
        const Pair ow = divide(v.stride_w, from_w);
        if (ow.second != 0 || ow.first >= v.w.out) continue;
        const Index row = (c * v.h.kernel + kh) * v.w.kernel + kw;
        sum += column[(row * images + n) * outs + oh.first * v.w.out + ow.first];
      }
    }
    dx[(n * channels + c) * ins + i] = sum;
  });
}

/// y[n, o, s] = product[o, n, s] + bias[o], or 0 if that is negative and `relu`.
void from_channel_major(Context& ctx, Index images, Index outputs, Index outs, const float* product,
                        const float* bias, bool relu, float* y) {
  parallel_for(ctx, {images, outputs, outs}, [=] KERNEL(Index n, Index o, Index s) {
    const float sum = product[(o * images + n) * outs + s] + (bias ? bias[o] : 0.0f);
    y[(n * outputs + o) * outs + s] = relu && sum < 0 ? 0.0f : sum;
  });
}

/// channel_major[o, n, s] = dy[n, o, s].
void to_channel_major(Context& ctx, Index images, Index outputs, Index outs, const float* dy,
                      float* channel_major) {
  parallel_for(ctx, {outputs, images, outs}, [=] KERNEL(Index o, Index n, Index s) {
    channel_major[(o * images + n) * outs + s] = dy[(n * outputs + o) * outs + s];
  });
}

/// dbias[o] += sum over i of channel_major[o, i]; `sums` holds as many floats as dbias.
void add_bias_gradient(Context& ctx, Index outputs, Index positions, const float* channel_major,
                       float* sums, float* dbias) {
  reduce_rows(ctx, outputs, positions, 0.0, Sum{}, sums,
              [=] KERNEL(Index o, Index i) { return channel_major[o * positions + i]; });
  parallel_for(ctx, outputs, [=] KERNEL(Index o) { dbias[o] += sums[o]; });
}

/// Gathers the windows of several images in one matrix, channels first, so that one product per
/// group, with all groups in one call, fills the GPU even if maps are small. Bias and ReLU are
/// applied while the result is transposed to NCHW.
///
/// 1x1 convolutions need no copy: each image is a matrix of the batch.
class BatchedGemmConvolution final : public ConvolutionEngine {
 public:
  BatchedGemmConvolution(const ConvolutionGeometry& g, Index floats)
      : g_(g),
        windows_(g.windows),
        direct_(g.windows.is_identity() && g.group == 1),
        M_(g.num_output / g.group),
        K_(g.channels / g.group * g.windows.kernel_count()),
        outs_(g.windows.out_count()),
        x_image_(g.channels * g.windows.in_count()),
        y_image_(g.num_output * outs_),
        column_image_(
            checked_shape({g.group, K_, outs_}, "convolution_param.kernel_size").count()) {
    const Index most = std::clamp<Index>(floats / (column_image_ + y_image_), 1, g.batch);
    const Index chunks = (g.batch + most - 1) / most;
    chunk_ = (g.batch + chunks - 1) / chunks;
  }

  void forward(Context& ctx, const Tensor& x_tensor, const Tensor& weight_tensor,
               const Tensor* bias_tensor, Tensor& y_tensor) override {
    const float* x = x_tensor.read(ctx);
    const float* weight = weight_tensor.read(ctx);
    const float* bias = bias_tensor ? bias_tensor->read(ctx) : nullptr;
    float* y = y_tensor.write(ctx);
    if (direct_) {
      gemm_batch(ctx, Transpose::no, Transpose::no, M_, outs_, K_, 1, weight, x, 0, y,
                 {g_.batch, 0, x_image_, y_image_}, g_.precision);
      if (bias || relu_) add_nchw(ctx, g_.batch, g_.num_output, outs_, bias, nullptr, relu_, y);
      return;
    }
    for_each_chunk(ctx, [&](Index first, const Chunk& c) {
      copy_windows(ctx, c.images, g_.channels, windows_, x + first * x_image_, c.column);
      gemm_batch(ctx, Transpose::no, Transpose::no, M_, c.positions, K_, 1, weight, c.column, 0,
                 c.channel_major, groups(M_ * K_, K_ * c.positions, M_ * c.positions),
                 g_.precision);
      from_channel_major(ctx, c.images, g_.num_output, outs_, c.channel_major, bias, relu_,
                         y + first * y_image_);
    });
  }

  bool begin_backward(Context& ctx, Tensor& dy, Tensor*) override {
    if (masked_by_) mask_gradient(ctx, g_.batch * y_image_, masked_by_->read(ctx), dy.update(ctx));
    return false;
  }

  void backward_data(Context& ctx, const Tensor& dy_tensor, const Tensor& weight_tensor,
                     Tensor& dx_tensor) override {
    const float* dy = dy_tensor.read(ctx);
    const float* weight = weight_tensor.read(ctx);
    float* dx = dx_tensor.write(ctx);
    if (direct_) {
      gemm_batch(ctx, Transpose::yes, Transpose::no, K_, outs_, M_, 1, weight, dy, 0, dx,
                 {g_.batch, 0, y_image_, x_image_}, g_.precision);
      return;
    }
    for_each_chunk(ctx, [&](Index first, const Chunk& c) {
      to_channel_major(ctx, c.images, g_.num_output, outs_, dy + first * y_image_, c.channel_major);
      gemm_batch(ctx, Transpose::yes, Transpose::no, K_, c.positions, M_, 1, weight,
                 c.channel_major, 0, c.column, groups(M_ * K_, M_ * c.positions, K_ * c.positions),
                 g_.precision);
      gather_windows(ctx, c.images, g_.channels, windows_, c.column, dx + first * x_image_);
    });
  }

  void backward_params(Context& ctx, const Tensor& x_tensor, const Tensor& dy_tensor,
                       Tensor* dweight_tensor, Tensor* dbias_tensor) override {
    const float* x = x_tensor.read(ctx);
    const float* dy = dy_tensor.read(ctx);
    const AddTo dweight = dweight_tensor ? add_to(*dweight_tensor, ctx) : AddTo{};
    float* dbias = dbias_tensor ? dbias_tensor->update(ctx) : nullptr;
    for_each_chunk(ctx, [&](Index first, const Chunk& c) {
      to_channel_major(ctx, c.images, g_.num_output, outs_, dy + first * y_image_, c.channel_major);
      if (dbias) add_bias_gradient(ctx, g_.num_output, c.positions, c.channel_major, c.sums, dbias);
      if (!dweight_tensor) return;
      copy_windows(ctx, c.images, g_.channels, windows_, x + first * x_image_, c.column);
      gemm_batch(ctx, Transpose::no, Transpose::yes, M_, K_, c.positions, 1, c.channel_major,
                 c.column, first == 0 ? dweight.beta : 1, dweight.values,
                 groups(M_ * c.positions, K_ * c.positions, M_ * K_), g_.precision);
    });
  }

  std::size_t fuse(Followers followers, const Tensor& y, bool backward) override {
    relu_ = begins_with_relu(followers);
    masked_by_ = relu_ && backward ? &y : nullptr;
    return relu_ ? 1 : 0;
  }

  Index workspace() const override { return chunk_ * (column_image_ + y_image_) + g_.num_output; }

 private:
  /// Images that are computed together.
  struct Chunk {
    Index images, positions;  ///< and the windows of all of them
    float *column, *channel_major, *sums;
  };

  /// Calls use(first image, chunk) for all chunks of images.
  template <class Use>
  void for_each_chunk(Context& ctx, Use use) {
    float* column = ctx.workspace(workspace());
    float* channel_major = column + chunk_ * column_image_;
    float* sums = channel_major + chunk_ * y_image_;
    for (Index first = 0; first < g_.batch; first += chunk_) {
      const Index images = std::min(chunk_, g_.batch - first);
      use(first, Chunk{images, images * outs_, column, channel_major, sums});
    }
  }

  Batch groups(Index A, Index B, Index C) const { return {g_.group, A, B, C}; }

  const ConvolutionGeometry g_;
  const Windows2d windows_;
  const bool direct_;
  const Index M_, K_;  // of one group
  const Index outs_, x_image_, y_image_, column_image_;
  Index chunk_;  // images per chunk
  bool relu_ = false;
  const Tensor* masked_by_ = nullptr;  // output of the fused ReLU
};

}  // namespace

std::string why_not_batched_gemm_convolution(const ConvolutionGeometry& g) {
  if (g.windows.axes != 2) return "it supports only two spatial axes";
  if (g.force_nd_im2col) return "force_nd_im2col asks for the general code";
  if (g.batch * g.channels * g.windows.in_count() == 0) return "the bottom is empty";
  constexpr Index kMaxIndex = Index{1} << 30;  // limit of Divider, with room for padding
  const Index rows = g.channels / g.group * g.windows.kernel_count();
  if (rows > kMaxIndex / g.group || g.windows.in_count() > kMaxIndex ||
      g.windows.out_count() > kMaxIndex)
    return "its indices end at 2^30";
  return {};
}

std::unique_ptr<ConvolutionEngine> make_batched_gemm_convolution(
    const ConvolutionGeometry& geometry, Index floats) {
  return std::make_unique<BatchedGemmConvolution>(geometry, floats);
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
