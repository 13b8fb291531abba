#pragma once
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "doppio/tensor.hpp"

namespace doppio {

class SolverParameter;

/// The values for one update of one parameter.
struct UpdateStep {
  int iteration = 0;     ///< iterations done before this one
  float rate = 0;        ///< learning rate * lr_mult, or Lars::rate()
  float clip = 1;        ///< factor by which clip_gradients shrinks the gradient
  float normalise = 1;   ///< 1 / iter_size
  float l1 = 0, l2 = 0;  ///< weight_decay * decay_mult, of the regularizer in use
};

/// The memory of one parameter, or of a range of its values, on one device.
struct ParameterMemory {
  Index count = 0;
  const float* grad = nullptr;
  float* weight = nullptr;
  float* first = nullptr;   ///< history
  float* second = nullptr;  ///< the same as `first` if UpdateRule::history_count() is 1
};

/// Returns the current contents of `tensor` on ctx's device.
inline std::span<const float> values_of(const Context& ctx, const Tensor& tensor) {
  return {tensor.read(ctx), static_cast<std::size_t>(tensor.count())};
}

/// Computes weight updates from gradients. Each rule has a file in rules/.
class UpdateRule {
 public:
  virtual ~UpdateRule() = default;

  /// Number of history tensors per parameter: 1 or 2.
  virtual int history_count() const = 0;

  /// Clips, normalises and regularises the gradient and updates history and weights, in one pass
  /// over memory of ctx's device.
  virtual void update(Context& ctx, const UpdateStep& step, const ParameterMemory& memory) = 0;

  /// Returns the sum of the squares of each range of floats in the memory of ctx's device, and
  /// waits for the device once.
  virtual std::vector<double> squared_norms(Context& ctx,
                                            std::span<const std::span<const float>> ranges) = 0;
};

/// The update rules of this build, by type name and device.
class UpdateRuleRegistry {
 public:
  using Make = std::unique_ptr<UpdateRule> (*)(const SolverParameter&);

  static UpdateRuleRegistry& instance();
  /// Called by DOPPIO_REGISTER_UPDATE_RULE. Throws: InternalError for a second registration.
  bool add(const std::string& type, Device device, Make make);
  /// Throws: Error with the nearest names if there is no such rule.
  Make find(const std::string& type, Device device) const;
  /// Returns all type names in alphabetical order.
  std::vector<std::string> types() const;

 private:
  std::map<std::pair<std::string, Device>, Make> entries_;
};

/// Returns the rule's name from `type` or the older `solver_type`. Throws: Error if both are given.
std::string update_rule_type(const SolverParameter& param);

/// Creates the rule of `param`. Throws: Error that names a field that is unknown or out of range.
std::unique_ptr<UpdateRule> make_update_rule(const SolverParameter& param, Device device);

}  // namespace doppio
