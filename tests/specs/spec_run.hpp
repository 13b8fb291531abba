#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "spec.pb.h"
#include "support/layer_harness.hpp"

namespace doppio::specs {

using Vectors = std::vector<std::vector<float>>;

/// How a spec is to be set up.
struct Arrangement {
  Device device = Device::cpu;
  std::string engine = {};  ///< value of the layer's `engine` field; empty: as the spec has it
  bool in_place = false;
  int growth = 1;                        ///< factor on the sizes of the axes in resize_axis
  Layout layout = Layout::nchw_blocked;  ///< for what follows
  bool blocked_data = false;             ///< give bottoms in that layout, where they can be
  bool blocked_grads = false;            ///< the same of the tops' gradients
};

/// What a pass reads and what it produces.
struct Inputs {
  Vectors bottoms, params, top_grads;
};
struct Outputs {
  Vectors tops, bottom_grads, param_grads;
};

/// One layer of a spec, ready to run on any inputs.
class SpecRun {
 public:
  SpecRun(const Spec& spec, const Arrangement& arrangement);

  /// Random inputs that depend only on the spec and the shapes.
  Inputs draw();
  /// Forward, then backward if the spec has one. Gradients that backward does not give are empty.
  Outputs run(const Inputs& in);
  /// Backward once more with what is in place; parameter gradients are added to.
  void backward();
  /// Forward only: the sum of top_grads * tops, the scalar whose derivative backward computes.
  double objective(const Inputs& in);
  /// Resizes the bottoms as Arrangement::growth would have.
  void grow(int factor);

  bool has_gradient(const Values& values, std::size_t bottom) const;
  std::vector<bool> wanted() const;
  const LayerTraits& traits() const { return traits_; }
  LayerHarness& harness() { return *harness_; }

 private:
  void load(const Inputs& in);
  void block(Tensor& tensor);
  std::size_t grad_tops() const;

  Spec spec_;
  Arrangement arrangement_;
  LayerTraits traits_;
  std::unique_ptr<LayerHarness> harness_;
};

/// Name of the `engine` values other than DEFAULT that this layer's message has; empty if none.
std::vector<std::string> engines_of(const LayerParameter& layer);
/// The spec's layer, named "layer", with bottoms "b0", "b1", ... and tops "t0", "t1", ..., and with
/// `engine` set if it is not empty.
LayerParameter layer_of(const Spec& spec, const std::string& engine);

}  // namespace doppio::specs
