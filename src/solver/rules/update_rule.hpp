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
  float rate = 0;        ///< learning rate * lr_mult
  float clip = 1;        ///< factor by which clip_gradients shrinks the gradient
  float normalise = 1;   ///< 1 / iter_size
  float l1 = 0, l2 = 0;  ///< weight_decay * decay_mult, of the regularizer in use
};

/// Computes weight updates from gradients. Each rule has a file in rules/.
class UpdateRule {
 public:
  virtual ~UpdateRule() = default;

  /// Number of history tensors per parameter: 1 or 2.
  virtual int history_count() const = 0;

  /// Clips, normalises and regularises the gradient and updates history and weights, in one pass
  /// over memory. `second` is the same tensor as `first` if history_count() is 1.
  virtual void update(Context& ctx, const UpdateStep& step, Blob& parameter, Tensor& first,
                      Tensor& second) = 0;

  /// Returns the sum of the squares of all gradients.
  virtual double squared_norm(Context& ctx, std::span<Blob* const> parameters) = 0;
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
