#include "data/convert/annotation_set.hpp"

#include <cmath>

#include "doppio/error.hpp"

namespace doppio {

float pixel_of(double coordinate, const std::string& name) {
  require(std::isfinite(coordinate) && std::abs(coordinate) <= kMaxPixel, name, " is ", coordinate,
          ", expected a position in pixels");
  return static_cast<float>(coordinate);
}

Index side_of(double side, const std::string& name) {
  require(side >= 0 && side <= kMaxPixel && side == std::floor(side), name, " is ", side,
          ", expected a number of pixels");
  return static_cast<Index>(side);
}

}  // namespace doppio
