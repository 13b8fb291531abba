#pragma once
#include <array>
#include <string>

#include "data/image/datum.hpp"

namespace doppio {

/// The principal components of the colours of many images, the largest first.
struct ColorComponents {
  using Vector = std::array<double, 3>;
  Vector variances{};                  ///< eigenvalues of the covariance
  std::array<Vector, 3> directions{};  ///< unit eigenvectors, in the stored order of the channels
};

/// Sums over pixels of three channels, from which the components follow. Exact for bytes up to
/// 10^11 pixels, so the order does not matter.
class ColorSums {
 public:
  /// Throws: Error unless `image` has three channels.
  void add(const Image& image);
  void add(const ColorSums& other);
  /// Eigenvalues and eigenvectors of the covariance of what was added.
  ColorComponents components() const;

 private:
  template <class Pixel>
  void add_pixels(const Pixel* pixels, const Image& image);

  double count_ = 0;
  std::array<double, 3> sums_{};
  std::array<double, 6> products_{};  // 00, 01, 02, 11, 12, 22
};

/// Writes a BlobProto of 3 x 4: per component its variance and its direction.
void write_color_components(const std::string& path, const ColorComponents& components);

/// Reads what write_color_components() wrote. Throws: Error if it is something else.
ColorComponents read_color_components(const std::string& path);

}  // namespace doppio
