#pragma once
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

namespace doppio {

using Index = std::int64_t;

/// The sizes of a dense row-major array, outermost axis first; a shape without axes is a scalar
/// (count 1).
///
/// Every construction is checked: at most kMaxAxes axes, none negative, and at most kMaxCount
/// elements. Axis arguments may be negative and then count from the end.
class Shape {
 public:
  static constexpr Index kMaxAxes = 32;
  static constexpr Index kMaxCount = Index{1} << 36;  // 256 GiB of floats

  Shape() = default;
  Shape(std::initializer_list<Index> dims) : Shape(std::vector<Index>(dims)) {}
  explicit Shape(std::vector<Index> dims);

  Index axes() const { return static_cast<Index>(dims_.size()); }
  Index operator[](Index axis) const { return dims_[static_cast<std::size_t>(axis)]; }
  const std::vector<Index>& dims() const { return dims_; }

  /// Product of all sizes.
  Index count() const { return count_; }
  /// Product of the sizes of axes first .. last-1; 1 if that range is empty.
  Index count(Index first, Index last) const;
  Index count_from(Index first) const { return count(first, axes()); }
  Index count_before(Index last) const { return count(0, last); }

  /// `axis` as a number in 0 .. axes()-1. Throws: Error if it is out of range.
  Index canonical(Index axis) const;
  /// Caffe's num/channels/height/width view: the size of `axis`, or 1 where the shape has no such
  /// axis.
  Index dim_or_1(Index axis) const { return axis < axes() ? (*this)[axis] : 1; }

  /// The same shape with the size of `axis` replaced.
  Shape with(Index axis, Index size) const;

  /// "64 x 20 x 4 x 4"; "scalar" without axes.
  std::string text() const;

  friend bool operator==(const Shape&, const Shape&) = default;

 private:
  std::vector<Index> dims_;
  Index count_ = 1;
};

}  // namespace doppio
