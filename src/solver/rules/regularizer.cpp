#include "solver/rules/regularizer.hpp"

#include "doppio.pb.h"
#include "doppio/error.hpp"

namespace doppio {

Regularizer regularizer_of(const SolverParameter& param) {
  const std::string& type = param.regularization_type();
  require_field(type == "L1" || type == "L2", "regularization_type",
                "unknown regularization_type '", type, "'", did_you_mean(type, {"L1", "L2"}),
                "; known are L1 and L2");
  return type == "L1" ? Regularizer::l1 : Regularizer::l2;
}

}  // namespace doppio
