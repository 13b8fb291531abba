#pragma once
#include <array>
#include <string>

#include "data/image/datum.hpp"

namespace doppio {

/// Principal components of the colours of many images, in descending order of variance.
struct ColorComponents {
  using Vector = std::array<double, 3>;
  Vector variances{};                  ///< eigenvalues of the covariance
  std::array<Vector, 3> directions{};  ///< unit eigenvectors, in the stored order of the channels
};

/// Sums over pixels of three channels from which the components are computed. The sums are exact
/// for bytes up to 10^11 pixels and thus independent of order.
class ColorSums {
 public:
  /// Throws: Error unless `image` has three channels.
  void add(const Image& image);
  void add(const ColorSums& other);
  /// Returns eigenvalues and eigenvectors of the covariance of all added pixels.
  ColorComponents components() const;

 private:
  template <class Pixel>
  void add_pixels(const Pixel* pixels, const Image& image);

  double count_ = 0;
  std::array<double, 3> sums_{};
  std::array<double, 6> products_{};  // 00, 01, 02, 11, 12, 22
};

/// Writes a BlobProto of 3 x 4: the variance and the direction of each component.
void write_color_components(const std::string& path, const ColorComponents& components);

/// Reads a file of write_color_components(). Throws: Error if its content differs from that format.
ColorComponents read_color_components(const std::string& path);

}  // namespace doppio
