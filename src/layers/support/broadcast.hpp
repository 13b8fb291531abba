#pragma once
#include "layers/support/run_layout.hpp"
#include "math/per_channel.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

/// Returns the shape of a parameter that spans `num_axes` axes of x starting at `axis` (-1: all
/// remaining axes, 0: a scalar). Throws: Error if x has too few axes.
inline Shape spanned_shape(const Shape& x, Index axis, Index num_axes) {
  require_field(num_axes >= -1, "num_axes", "num_axes is ", num_axes,
                "; it must be a number of axes, or -1 for all the rest");
  if (num_axes == 0) return {};
  const Index first = x.canonical(axis);
  const Index last = num_axes < 0 ? x.axes() : first + num_axes;
  require_field(last <= x.axes(), "num_axes", "num_axes ", num_axes, " from axis ", first,
                " on reaches beyond the bottom ", x.text());
  return Shape({x.dims().begin() + first, x.dims().begin() + last});
}

/// Returns how a parameter of shape `spanned` is broadcast over x: its elements are the channels.
/// Throws: Error if its sizes differ from those of x starting at `axis`.
inline Channels broadcast(const Shape& x, const Shape& spanned, Index axis) {
  const Index first = spanned.axes() == 0 ? 0 : x.canonical(axis);
  bool fits = first + spanned.axes() <= x.axes();
  for (Index i = 0; fits && i < spanned.axes(); ++i) fits = x[first + i] == spanned[i];
  require_field(fits, "axis", "shape ", spanned.text(), " does not fit the bottom ", x.text(),
                " from axis ", first, " on");
  return {x.count_before(first), spanned.count(), x.count_from(first + spanned.axes())};
}

/// Returns the layout for a layer with one parameter per channel of x (`extent`): that of
/// run_layout(), but NCHW unless the channels are on axis 1.
inline Layout run_layout(const Context& ctx, const Blob& x, const Channels& extent) {
  const Shape& shape = x.shape();
  const bool axis_1 = shape.axes() >= 2 && extent.N == shape[0] && extent.C == shape[1];
  return axis_1 ? run_layout(ctx, x) : Layout::nchw;
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
