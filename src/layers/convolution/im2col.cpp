#include "math/im2col.hpp"

#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/convolution/convolution_geometry.hpp"
#include "layers/support/sizes.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

/// Copies the windows of a convolution into the columns of a matrix, as its matrix product reads
/// them.
///
/// Shapes: N x C x in... -> N x (C * kernel...) x out...; sizes are as in Convolution, by the
/// fields of convolution_param that set the windows. Source: matches Caffe.
class Im2col final : public Layer {
 public:
  explicit Im2col(const LayerParameter& p) : p_(p.convolution_param()) {}

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const Shape& shape = bottom[0]->shape();
    const Index axis = shape.canonical(p_.axis());
    windows_ = read_windows(p_, shape, axis);
    slide(windows_);
    batch_ = shape.count_before(axis);
    channels_ = shape[axis];
    std::vector<Index> dims(shape.dims().begin(), shape.dims().begin() + axis);
    const std::string field = "convolution_param.kernel_size";
    dims.push_back(checked_shape({channels_, windows_.kernel_count()}, field).count());
    for (Index i = 0; i < windows_.axes; ++i) dims.push_back(windows_.axis[i].out);
    top[0]->reshape(checked_shape(std::move(dims), field));
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    const float* x = bottom[0]->data.read(ctx);
    float* y = top[0]->data.write(ctx);
    const auto copy = p_.force_nd_im2col() ? im2col_nd : im2col;
    for (Index n = 0; n < batch_; ++n)
      copy(ctx, channels_, windows_, x + n * image(), y + n * column());
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (!wanted[0]) return;
    const float* dy = top[0]->grad.read(ctx);
    float* dx = bottom[0]->grad.write(ctx);
    const auto gather = p_.force_nd_im2col() ? col2im_nd : col2im;
    for (Index n = 0; n < batch_; ++n)
      gather(ctx, channels_, windows_, dy + n * column(), dx + n * image());
  }

 private:
  Index image() const { return channels_ * windows_.in_count(); }
  Index column() const { return channels_ * windows_.kernel_count() * windows_.out_count(); }

  ConvolutionParameter p_;
  Windows windows_;
  Index batch_ = 0, channels_ = 0;
};

DOPPIO_REGISTER_LAYER("Im2col", Im2col, .backward_reads_bottom = false,
                      .backward_reads_top = false);

}  // namespace
}  // namespace doppio
