#include "solver/rules/update_rule.hpp"

#include "doppio.pb.h"
#include "doppio/error.hpp"

namespace doppio {

UpdateRuleRegistry& UpdateRuleRegistry::instance() {
  static UpdateRuleRegistry registry;
  return registry;
}

bool UpdateRuleRegistry::add(const std::string& type, Device device, Make make) {
  ensure(entries_.emplace(std::pair{type, device}, make).second,
         "solver type '" + type + "' is registered twice");
  return true;
}

UpdateRuleRegistry::Make UpdateRuleRegistry::find(const std::string& type, Device device) const {
  if (const auto it = entries_.find({type, device}); it != entries_.end()) return it->second;
  std::string known;
  for (const std::string& name : types()) known += (known.empty() ? "" : ", ") + name;
  throw Error(
      str("unknown solver type '", type, "'", did_you_mean(type, types()), "; known are ", known),
      {}, "type");
}

std::vector<std::string> UpdateRuleRegistry::types() const {
  std::vector<std::string> names;
  for (const auto& [key, make] : entries_)
    if (names.empty() || names.back() != key.first) names.push_back(key.first);
  return names;
}

std::string update_rule_type(const SolverParameter& param) {
  require_field(!param.has_type() || !param.has_solver_type(), "solver_type",
                "solver_type is the older form of type; give only one of the two");
  if (!param.has_solver_type()) return param.type();
  switch (param.solver_type()) {
    case SolverParameter::SGD:
      return "SGD";
    case SolverParameter::NESTEROV:
      return "Nesterov";
    case SolverParameter::ADAGRAD:
      return "AdaGrad";
    case SolverParameter::RMSPROP:
      return "RMSProp";
    case SolverParameter::ADADELTA:
      return "AdaDelta";
    case SolverParameter::ADAM:
      return "Adam";
  }
  throw InternalError("solver_type without a name");
}

std::unique_ptr<UpdateRule> make_update_rule(const SolverParameter& param, Device device) {
  require_field(param.momentum() >= 0 && param.momentum() < 1, "momentum",
                "momentum must be at least 0 and less than 1, it is ", param.momentum());
  require_field(param.delta() >= 0, "delta", "delta must not be negative, it is ", param.delta());
  return UpdateRuleRegistry::instance().find(update_rule_type(param), device)(param);
}

}  // namespace doppio
