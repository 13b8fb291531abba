#pragma once
#include <memory>
#include <string>

#include "doppio/tensor.hpp"
#include "layers/normalization/lrn_formula.hpp"
#include "layers/support/engine_list.hpp"

namespace doppio {

/// LRN of maps of channels x height x width values, whatever the number of images.
struct LrnGeometry {
  bool across = true;  ///< neighbours are in other channels, else around in the same one
  Index channels = 0, height = 0, width = 0;
  LrnFormula formula;
  Layout layout = Layout::plain;  ///< in which the maps are current
  bool reference = false;         ///< asks for the generic engine

  Index values() const { return channels * height * width; }
  std::string text() const {
    return str(channels, " x ", height, " x ", width, across ? ", across " : ", within ",
               2 * formula.reach + 1, across ? " channels" : " pixels");
  }
  friend bool operator==(const LrnGeometry&, const LrnGeometry&) = default;
};

/// One way to normalize maps of a given geometry. The pointers are to the maps of `images` images,
/// in layout(), on the context's device.
class LrnEngine {
 public:
  virtual ~LrnEngine() = default;
  /// Layout in which the passes read and write maps.
  virtual Layout layout() const { return Layout::plain; }
  virtual void forward(Context& ctx, Index images, const float* x, float* y) const = 0;
  /// Floats that backward() needs as its `workspace`.
  virtual Index workspace(Index /*images*/) const { return 0; }
  /// Overwrites dx with the gradient of x.
  virtual void backward(Context& ctx, Index images, const float* x, const float* dy,
                        float* workspace, float* dx) const = 0;
};

/// On blocks of channels, without anything kept for backward; CPU only.
std::string why_not_blocked_lrn(const LrnGeometry& geometry);
std::unique_ptr<LrnEngine> make_blocked_lrn(const LrnGeometry& geometry);

inline namespace DOPPIO_BUILD {

/// Makes the fastest engine of this device that can compute `geometry`; "generic", which can do
/// everything, defines the result.
std::unique_ptr<LrnEngine> make_lrn_engine(const std::string& layer, const LrnGeometry& geometry);

/// A strip of channels per thread, in any layout; GPU only (src/cuda).
std::string why_not_cuda_lrn(const LrnGeometry& geometry);
std::unique_ptr<LrnEngine> make_cuda_lrn(const LrnGeometry& geometry);

/// One body for both devices. Source: matches Caffe.
std::unique_ptr<LrnEngine> make_generic_lrn(const LrnGeometry& geometry);

}  // namespace DOPPIO_BUILD
}  // namespace doppio
