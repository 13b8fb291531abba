#include "math/tensor_part.hpp"

#include <algorithm>

#include "doppio/error.hpp"

namespace doppio {

namespace {

/// The runs of consecutive values that a part consists of.
struct Runs {
  Index count, values;   ///< number of runs, and values of each
  Index stride, offset;  ///< in the whole: from run to run, and of the first
};

Runs runs_of(const Shape& whole, const ChannelPart& part, const Shape& part_of_it) {
  Index axis = 0;
  while (axis < whole.axes() && whole.dim_or_1(axis) == part_of_it.dim_or_1(axis)) ++axis;
  if (axis == whole.axes()) {
    ensure(whole == part_of_it, "a part has the axes of the whole");
    return {1, whole.count(), 0, 0};
  }
  ensure(whole == part_of_it.with(axis, part_of_it[axis] * part.count), "parts make up the whole");
  const Index values = part_of_it.count_from(axis);
  return {whole.count_before(axis), values, values * part.count, values * part.index};
}

}  // namespace

void copy_part(const Tensor& whole, const ChannelPart& part, Tensor& part_of_it) {
  const Runs runs = runs_of(whole.shape(), part, part_of_it.shape());
  if (runs.count * runs.values == 0) return;
  const float* from = whole.read_host() + runs.offset;
  float* to = part_of_it.write_host();
  for (Index r = 0; r < runs.count; ++r)
    std::copy_n(from + r * runs.stride, runs.values, to + r * runs.values);
}

void insert_part(const Tensor& part_of_it, const ChannelPart& part, Tensor& whole) {
  const Runs runs = runs_of(whole.shape(), part, part_of_it.shape());
  if (runs.count * runs.values == 0) return;
  const float* from = part_of_it.read_host();
  float* to = whole.update_host() + runs.offset;
  for (Index r = 0; r < runs.count; ++r)
    std::copy_n(from + r * runs.values, runs.values, to + r * runs.stride);
}

}  // namespace doppio
