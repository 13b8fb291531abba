#pragma once
#include <algorithm>
#include <iterator>
#include <string>

namespace doppio {

/// Returns whether a layer of this type passes probabilities through unchanged in phase TEST,
/// except for their shape.
inline bool keeps_probabilities(const std::string& type) {
  const char* const types[] = {"Split", "Flatten", "Reshape", "Dropout", "ReLU"};
  return std::find(std::begin(types), std::end(types), type) != std::end(types);
}

}  // namespace doppio
