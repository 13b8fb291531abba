#pragma once
#include <memory>
#include <string>

#include "doppio/context.hpp"
#include "doppio/tensor.hpp"
#include "layers/normalization/lrn_formula.hpp"
#include "layers/support/engine_list.hpp"

namespace doppio {

/// LRN of any number of images with maps of channels x height x width values.
struct LrnGeometry {
  bool across = true;  ///< neighbours are in adjacent channels, else in the same one
  Index channels = 0, height = 0, width = 0;
  Index group = 1;  ///< groups of channels that are normalized apart; divides channels
  LrnFormula formula;
  Layout layout = Layout::nchw;    ///< in which the maps are current
  Element element = Element::f32;  ///< of the maps' values
  bool reference = false;          ///< requires the generic engine

  Index values() const { return channels * height * width; }
  /// Channels of a group. In NCHW, the groups of an image are laid out as images are.
  Index group_channels() const { return channels / group; }
  std::string text() const {
    return str(channels, " x ", height, " x ", width, across ? ", across " : ", within ",
               2 * formula.reach + 1, across ? " channels" : " pixels",
               group > 1 ? str(", group ", group) : "");
  }
  friend bool operator==(const LrnGeometry&, const LrnGeometry&) = default;
};

/// An implementation of LRN for a given geometry.
class LrnEngine {
 public:
  virtual ~LrnEngine() = default;
  /// Layout in which the passes read and write maps.
  Layout layout() const { return layout_; }
  /// Floats of Context::workspace() that backward() needs.
  virtual Index workspace(Index /*images*/) const { return 0; }

  virtual void forward(Context& ctx, const Tensor& x, Tensor& y) const {
    const float* from = x.read(ctx, layout_);
    forward_maps(ctx, x.shape()[0], from, y.write(ctx, layout_));
  }
  /// Overwrites dx with the gradient of x.
  virtual void backward(Context& ctx, const Tensor& x, const Tensor& dy, Tensor& dx) const {
    const Index images = x.shape()[0], floats = workspace(images);
    const float *from = x.read(ctx, layout_), *gradient = dy.read(ctx, layout_);
    float* to = dx.write(ctx, layout_);
    backward_maps(ctx, images, from, gradient, floats > 0 ? ctx.workspace(floats) : nullptr, to);
  }

  /// The same on plain floats: the maps of `images` images, in layout(), on the context's device.
  /// `workspace` has workspace(images) floats.
  virtual void forward_maps(Context& ctx, Index images, const float* x, float* y) const = 0;
  virtual void backward_maps(Context& ctx, Index images, const float* x, const float* dy,
                             float* workspace, float* dx) const = 0;

 protected:
  explicit LrnEngine(Layout layout = Layout::nchw) : layout_(layout) {}

 private:
  const Layout layout_;
};

/// LRN in the blocked layout, which keeps nothing for backward; CPU only.
std::string why_not_blocked_lrn(const LrnGeometry& geometry);
std::unique_ptr<LrnEngine> make_blocked_lrn(const LrnGeometry& geometry);

inline namespace DOPPIO_BUILD {

/// Creates the fastest engine of this device that can compute `geometry`. "generic" supports every
/// geometry and is the reference.
std::unique_ptr<LrnEngine> make_lrn_engine(const std::string& layer, const LrnGeometry& geometry);

/// One thread per strip of channels, in the GPU's layouts, in float32 or bfloat16; GPU only
/// (src/cuda).
std::string why_not_cuda_lrn(const LrnGeometry& geometry);
std::unique_ptr<LrnEngine> make_cuda_lrn(const LrnGeometry& geometry);

/// One implementation for both devices. Source: matches Caffe.
std::unique_ptr<LrnEngine> make_generic_lrn(const LrnGeometry& geometry);

}  // namespace DOPPIO_BUILD
}  // namespace doppio
