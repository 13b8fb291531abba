#pragma once
#include <algorithm>

#include "core/item_error.hpp"
#include "doppio.pb.h"
#include "layers/loss/softmax.hpp"

namespace doppio {
inline namespace DOPPIO_BUILD {

/// Class labels in a blob of floats, range-checked when read.
struct Labels {
  static constexpr Index kIgnored = -1, kOutOfRange = -2;

  const float* values = nullptr;
  Index classes = 0;
  bool has_ignored = false;
  float ignored = 0;

  /// Returns the class of `item` (truncated to an integer, as in Caffe), kIgnored or kOutOfRange.
  HOST_DEVICE Index operator[](Index item) const {
    const float label = std::trunc(values[item]);
    if (has_ignored && label == ignored) return kIgnored;
    return label >= 0 && label < static_cast<float>(classes) ? static_cast<Index>(label)
                                                             : kOutOfRange;
  }
};

/// Throws: Error unless there is one label per item.
inline void require_label_count(const ClassAxis& axis, const Shape& predictions,
                                const Shape& labels) {
  require(labels.count() == axis.items(), "predictions of ", predictions.text(), " over ",
          axis.classes, " classes need ", axis.items(), " labels, one per item, not ",
          labels.text());
}

/// Throws: Error that names the first label out of range; `labels` must point to host memory.
[[noreturn]] inline void report_label_out_of_range(const ClassAxis& axis, const Labels& labels) {
  Index item = 0;
  while (labels[item] != Labels::kOutOfRange) ++item;
  const std::string position = axis.inner == 1 ? "" : str(", position ", item % axis.inner);
  throw ItemError(str("label ", labels.values[item], " at item ", item / axis.inner, position,
                      " is out of range for ", axis.classes, " classes"),
                  item / axis.inner);
}

/// Returns the divisor of the sum of all losses, at least 1; `counted` items are not ignored.
HOST_DEVICE inline float loss_divisor(LossParameter::NormalizationMode mode, const ClassAxis& axis,
                                      float counted) {
  switch (mode) {
    case LossParameter::FULL:
      return std::max(1.0f, static_cast<float>(axis.items()));
    case LossParameter::BATCH_SIZE:
      return std::max(1.0f, static_cast<float>(axis.outer));
    case LossParameter::NONE:
      return 1;
    default:
      return std::max(1.0f, counted);
  }
}

}  // namespace DOPPIO_BUILD
}  // namespace doppio
