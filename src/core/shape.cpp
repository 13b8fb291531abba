#include "doppio/shape.hpp"

#include "doppio/error.hpp"

namespace doppio {

namespace {

std::string join(const std::vector<Index>& dims) {
  std::string s;
  for (const Index d : dims) s += (s.empty() ? "" : " x ") + std::to_string(d);
  return s.empty() ? "scalar" : s;
}

}  // namespace

Shape::Shape(std::vector<Index> dims) : dims_(std::move(dims)) {
  require(axes() <= kMaxAxes, "a shape has at most ", kMaxAxes, " axes, this one has ", axes());
  for (const Index d : dims_) {
    require(d >= 0, "shape ", join(dims_), " has a negative size");
    // An empty axis makes the product 0 but must not hide an overflow of the others.
    const Index factor = d == 0 ? 1 : d;
    require(count_ <= kMaxCount / factor, "shape ", join(dims_), " has more than 2^36 elements");
    count_ *= factor;
  }
  for (const Index d : dims_)
    if (d == 0) count_ = 0;
}

Index Shape::count(Index first, Index last) const {
  Index n = 1;
  for (Index i = first; i < last; ++i) n *= (*this)[i];
  return n;
}

Index Shape::canonical(Index axis) const {
  require_field(axis >= -axes() && axis < axes(), "axis", "axis ", axis,
                " is out of range for shape ", text());
  return axis < 0 ? axis + axes() : axis;
}

Shape Shape::with(Index axis, Index size) const {
  std::vector<Index> dims = dims_;
  dims[static_cast<std::size_t>(axis)] = size;
  return Shape(std::move(dims));
}

std::string Shape::text() const { return join(dims_); }

}  // namespace doppio
