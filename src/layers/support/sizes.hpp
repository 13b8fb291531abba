#pragma once
// Limits of the sizes in a layer's parameters. Sizes are checked before they are multiplied, so
// that no product overflows: single sizes by require_size(), products by Shape.
#include <string>
#include <utility>
#include <vector>

#include "doppio/error.hpp"
#include "doppio/shape.hpp"

namespace doppio {

/// The largest kernel, stride, padding, factor or number of classes that a layer accepts: large
/// enough for any net, and its product with the sizes of a blob fits into 64 bits.
inline constexpr Index kMaxSize = Index{1} << 20;

/// "pad" of "pooling_param.pad".
inline std::string field_name(const std::string& field) {
  return field.substr(field.rfind('.') + 1);
}

/// Throws: Error that names `field`, such as "pooling_param.pad", unless least <= value <=
/// kMaxSize.
inline void require_size(Index value, const std::string& field, Index least = 0) {
  require_field(value >= least, field, field_name(field), " must be at least ", least, ", it is ",
                value);
  require_field(value <= kMaxSize, field, field_name(field), " ", value, " is too large; at most ",
                kMaxSize, " is possible");
}

/// Makes a shape of sizes that depend on `field`. Throws: Error that names the field if the shape
/// is invalid, for example because it has more than Shape::kMaxCount elements.
inline Shape checked_shape(std::vector<Index> dims, const std::string& field) {
  try {
    return Shape(std::move(dims));
  } catch (const Error& e) {
    throw Error(str(field_name(field), ": ", e.message()), {}, field);
  }
}

}  // namespace doppio
