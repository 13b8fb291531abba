#pragma once
#include <memory>
#include <string>

#include "core/host_device.hpp"
#include "layers/pooling/pooling_geometry.hpp"
#include "layers/support/engine_list.hpp"

namespace doppio {

/// An implementation of pooling for a given geometry. `argmax` has PoolingGeometry::argmax_bytes(),
/// or is null if the method has no argmax.
class PoolingEngine {
 public:
  virtual ~PoolingEngine() = default;
  /// Layout in which the passes read and write maps.
  Layout layout() const { return layout_; }

  /// Writes one value per window of x to y, and its index in the window to `argmax`.
  virtual void forward(Context& ctx, const Tensor& x, Tensor& y, void* argmax) const {
    const float* from = x.read(ctx, layout_);
    forward_maps(ctx, x.shape()[0], from, y.write(ctx, layout_), argmax);
  }
  /// Overwrites dx with the gradient of x.
  virtual void backward(Context& ctx, const Tensor& dy, const void* argmax, Tensor& dx) const {
    const float* from = dy.read(ctx, layout_);
    backward_maps(ctx, dy.shape()[0], from, argmax, dx.write(ctx, layout_));
  }

  /// The same on plain floats: the maps of `images` images, in layout(), on the context's device.
  virtual void forward_maps(Context& ctx, Index images, const float* x, float* y,
                            void* argmax) const = 0;
  virtual void backward_maps(Context& ctx, Index images, const float* dy, const void* argmax,
                             float* dx) const = 0;

 protected:
  explicit PoolingEngine(Layout layout = Layout::nchw) : layout_(layout) {}

 private:
  const Layout layout_;
};

/// Pooling in the blocked layout; CPU only.
std::string why_not_blocked_pooling(const PoolingGeometry& geometry);
std::unique_ptr<PoolingEngine> make_blocked_pooling(const PoolingGeometry& geometry);

/// MAX of NCHW maps by 2x2 or 3x3 windows that neither overlap nor leave the map: all are equal and
/// evenly spaced, so the loops over them are vectorised; CPU only. Results equal those of the
/// generic engine, except that a window with a NaN may select another pixel.
std::string why_not_tiled_pooling(const PoolingGeometry& geometry);
std::unique_ptr<PoolingEngine> make_tiled_pooling(const PoolingGeometry& geometry);

inline namespace DOPPIO_BUILD {

/// Creates the fastest engine of this device that can compute `geometry`. "generic" supports every
/// geometry and is the reference.
std::unique_ptr<PoolingEngine> make_pooling_engine(const std::string& layer,
                                                   const PoolingGeometry& geometry);

/// One thread per strip of channels, in the GPU's layouts, in float32 or bfloat16; GPU only
/// (src/cuda).
std::string why_not_cuda_pooling(const PoolingGeometry& geometry);
std::unique_ptr<PoolingEngine> make_cuda_pooling(const PoolingGeometry& geometry);

/// One implementation for both devices. Source: matches Caffe.
std::unique_ptr<PoolingEngine> make_generic_pooling(const PoolingGeometry& geometry);

/// Writes index = h * W + w of the pixels in `argmax`, in the layout in which that was written.
void pooling_indices(Context& ctx, const PoolingGeometry& geometry, Layout layout, Index images,
                     const void* argmax, float* index);

}  // namespace DOPPIO_BUILD
}  // namespace doppio
