#pragma once
#include <algorithm>
#include <iterator>
#include <string>

namespace doppio {

/// True if a layer of this type, in phase TEST, hands probabilities on as they are, at most in
/// another shape.
inline bool keeps_probabilities(const std::string& type) {
  const char* const types[] = {"Split", "Flatten", "Reshape", "Dropout", "ReLU"};
  return std::find(std::begin(types), std::end(types), type) != std::end(types);
}

}  // namespace doppio
