#include "layers/convolution/engine.hpp"
#include "layers/support/sizes.hpp"
#include "math/gemm.hpp"
#include "math/kernel.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

namespace {

/// y[n, o, s] += bias[o].
void add_bias(Context& ctx, Index outputs, Index positions, const float* bias, float* y) {
  parallel_for(ctx, {1, outputs, positions},
               [=] KERNEL(Index, Index o, Index s) { y[o * positions + s] += bias[o]; });
}

/// dbias[o] += sum over n and s of dy[n, o, s]; `sums` holds batch x outputs floats.
void add_bias_gradient(Context& ctx, Index batch, Index outputs, Index positions, const float* dy,
                       float* sums, float* dbias) {
  reduce_rows(ctx, batch * outputs, positions, 0.0, Sum{}, sums,
              [=] KERNEL(Index row, Index s) { return dy[row * positions + s]; });
  parallel_for(ctx, outputs, [=] KERNEL(Index o) {
    double sum = 0;
    for (Index n = 0; n < batch; ++n) sum += sums[n * outputs + o];
    dbias[o] += static_cast<float>(sum);
  });
}

class GemmConvolution final : public ConvolutionEngine {
 public:
  explicit GemmConvolution(const ConvolutionGeometry& g)
      : g_(g),
        // On the CPU this engine is the reference, and the columns occupy the workspace.
        precision_(kDevice == Device::cpu ? Precision::float32 : g.precision),
        identity_(g.windows.is_identity()),
        M_(g.num_output / g.group),
        N_(g.windows.out_count()),
        K_(g.channels / g.group * g.windows.kernel_count()),
        column_(checked_shape({g.group, K_, N_}, "convolution_param.kernel_size").count()),
        x_image_(g.channels * g.windows.in_count()),
        y_image_(g.num_output * N_) {}

  void forward(Context& ctx, const Tensor& x_tensor, const Tensor& weight_tensor,
               const Tensor* bias_tensor, Tensor& y_tensor) override {
    const float* weight = weight_tensor.read(ctx);
    const float* bias = bias_tensor ? bias_tensor->read(ctx) : nullptr;
    const float* x = x_tensor.read(ctx);
    float* y = y_tensor.write(ctx);
    for (Index n = 0; n < g_.batch; ++n, x += x_image_, y += y_image_) {
      const float* column = columns_of(ctx, x);
      for (Index g = 0; g < g_.group; ++g)
        gemm(ctx, Transpose::no, Transpose::no, M_, N_, K_, 1, weight + g * M_ * K_,
             column + g * K_ * N_, 0, y + g * M_ * N_, precision_);
      if (bias) add_bias(ctx, g_.num_output, N_, bias, y);
    }
  }

  void backward_data(Context& ctx, const Tensor& dy_tensor, const Tensor& weight_tensor,
                     Tensor& dx_tensor) override {
    const float* weight = weight_tensor.read(ctx);
    const float* dy = dy_tensor.read(ctx);
    float* dx = dx_tensor.write(ctx);
    for (Index n = 0; n < g_.batch; ++n, dx += x_image_, dy += y_image_) {
      float* column = identity_ ? dx : ctx.workspace(column_);
      for (Index g = 0; g < g_.group; ++g)
        gemm(ctx, Transpose::yes, Transpose::no, K_, N_, M_, 1, weight + g * M_ * K_,
             dy + g * M_ * N_, 0, column + g * K_ * N_, precision_);
      if (identity_) continue;
      const auto gather = g_.force_nd_im2col ? col2im_nd : col2im;
      gather(ctx, g_.channels, g_.windows, column, dx);
    }
  }

  void backward_params(Context& ctx, const Tensor& x_tensor, const Tensor& dy_tensor,
                       Tensor* dweight_tensor, Tensor* dbias_tensor) override {
    const float* dy = dy_tensor.read(ctx);
    if (dbias_tensor)
      add_bias_gradient(ctx, g_.batch, g_.num_output, N_, dy,
                        ctx.workspace(g_.batch * g_.num_output), dbias_tensor->update(ctx));
    if (!dweight_tensor) return;
    float* dweight = dweight_tensor->update(ctx);
    const float* x = x_tensor.read(ctx);
    for (Index n = 0; n < g_.batch; ++n, x += x_image_, dy += y_image_) {
      const float* column = columns_of(ctx, x);
      for (Index g = 0; g < g_.group; ++g)
        gemm(ctx, Transpose::no, Transpose::yes, M_, K_, N_, 1, dy + g * M_ * N_,
             column + g * K_ * N_, 1, dweight + g * M_ * K_, precision_);
    }
  }

 private:
  /// Returns the columns of one image, in the workspace unless they are the image itself.
  const float* columns_of(Context& ctx, const float* image) {
    if (identity_) return image;
    float* column = ctx.workspace(column_);
    const auto copy = g_.force_nd_im2col ? im2col_nd : im2col;
    copy(ctx, g_.channels, g_.windows, image, column);
    return column;
  }

  ConvolutionGeometry g_;
  Precision precision_;
  bool identity_;
  Index M_, N_, K_;  // of one group of one image
  Index column_, x_image_, y_image_;
};

}  // namespace

std::unique_ptr<ConvolutionEngine> make_gemm_convolution(const ConvolutionGeometry& geometry) {
  return std::make_unique<GemmConvolution>(geometry);
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
