#pragma once
#include <algorithm>

namespace doppio {

/// A bounding box in fractions of the image, or the four offsets that a detector predicts for one.
struct Box {
  float xmin, ymin, xmax, ymax;

  float width() const { return xmax - xmin; }
  float height() const { return ymax - ymin; }
  float area() const { return width() < 0 || height() < 0 ? 0 : width() * height(); }
};

/// Returns the intersection of two boxes, or a box without area if they are disjoint.
inline Box intersection(const Box& a, const Box& b) {
  const Box common{std::max(a.xmin, b.xmin), std::max(a.ymin, b.ymin), std::min(a.xmax, b.xmax),
                   std::min(a.ymax, b.ymax)};
  return common.width() <= 0 || common.height() <= 0 ? Box{0, 0, 0, 0} : common;
}

/// Intersection over union.
inline float overlap(const Box& a, const Box& b) {
  const float common = intersection(a, b).area();
  return common > 0 ? common / (a.area() + b.area() - common) : 0;
}

/// Fraction of the area of `a` inside `b`.
inline float coverage(const Box& a, const Box& b) {
  const float common = intersection(a, b).area();
  return common > 0 ? common / a.area() : 0;
}

}  // namespace doppio
