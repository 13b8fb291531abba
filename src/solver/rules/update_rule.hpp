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

/// The numbers of one update of one parameter.
struct UpdateStep {
  int iteration = 0;     ///< iterations done before this one
  float rate = 0;        ///< learning rate * lr_mult
  float clip = 1;        ///< factor by which clip_gradients shrinks the gradient
  float normalise = 1;   ///< 1 / iter_size
  float l1 = 0, l2 = 0;  ///< weight_decay * decay_mult, of the regularizer in use
};

/// How a gradient becomes a change of the weights; one file in rules/ each.
class UpdateRule {
 public:
  virtual ~UpdateRule() = default;

  /// Tensors per parameter that the rule remembers between updates: 1 or 2.
  virtual int history_count() const = 0;

  /// Clips, normalises and regularises the gradient, updates the history and the weights, in one
  /// pass over memory. `second` is the same tensor as `first` where history_count() is 1.
  virtual void update(Context& ctx, const UpdateStep& step, Blob& parameter, Tensor& first,
                      Tensor& second) = 0;

  /// Sum of the squares of all gradients.
  virtual double squared_norm(Context& ctx, std::span<Blob* const> parameters) = 0;
};

/// The rule types that this build knows, by type name and device.
class UpdateRuleRegistry {
 public:
  using Make = std::unique_ptr<UpdateRule> (*)(const SolverParameter&);

  static UpdateRuleRegistry& instance();
  /// Called by DOPPIO_REGISTER_UPDATE_RULE. Throws: InternalError if (type, device) is taken.
  bool add(const std::string& type, Device device, Make make);
  /// Throws: Error if there is none, with the nearest names.
  Make find(const std::string& type, Device device) const;
  /// All type names in alphabetical order.
  std::vector<std::string> types() const;

 private:
  std::map<std::pair<std::string, Device>, Make> entries_;
};

/// The rule's name from `type` or from the older `solver_type`. Throws: Error if both are given.
std::string update_rule_type(const SolverParameter& param);

/// Throws: Error that names the field which is unknown or out of range.
std::unique_ptr<UpdateRule> make_update_rule(const SolverParameter& param, Device device);

}  // namespace doppio
