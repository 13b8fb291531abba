#pragma once
#include <algorithm>
#include <cmath>
#include <vector>

#include "core/at.hpp"
#include "doppio.pb.h"
#include "doppio/error.hpp"
#include "doppio/shape.hpp"
#include "math/box.hpp"

namespace doppio {

/// Box `i` of a list of coordinates.
inline Box box_at(const float* coordinates, Index i) {
  const float* v = coordinates + 4 * i;
  return {v[0], v[1], v[2], v[3]};
}

/// Priors and their variances: the two halves of a PriorBox layer's top.
struct Priors {
  const float* boxes;
  const float* variances;
  Index count;

  Priors(const Shape& shape, const float* values)
      : boxes(values), variances(values + shape.count() / 2), count(shape.count() / 8) {}
};

/// Throws: Error unless bottom 2 is 1 x 2 x (P * 4); returns P.
inline Index require_priors(const Shape& shape) {
  require(shape.axes() >= 3 && shape[0] == 1 && shape[1] == 2 && shape.count_from(2) % 4 == 0,
          "bottom 2 must hold priors, 1 x 2 x (P * 4), it is ", shape.text());
  return shape.count() / 8;
}

/// Encoding of boxes as offsets from a prior.
struct BoxCode {
  PriorBoxParameter::CodeType type;
  bool scaled;  ///< by the prior's variances

  /// Units of the offsets: the prior's size unless the type is CORNER, times the variances.
  Box units(const Box& prior, const Box& variance) const {
    const bool relative = type != PriorBoxParameter::CORNER;
    const float w = relative ? prior.width() : 1, h = relative ? prior.height() : 1;
    const Box v = scaled ? variance : Box{1, 1, 1, 1};
    if (type == PriorBoxParameter::CENTER_SIZE) return {v.xmin * w, v.ymin * h, v.xmax, v.ymax};
    return {v.xmin * w, v.ymin * h, v.xmax * w, v.ymax * h};
  }

  Box decode(const Box& prior, const Box& variance, const Box& offsets) const {
    const Box u = units(prior, variance);
    const Box d{offsets.xmin * u.xmin, offsets.ymin * u.ymin, offsets.xmax * u.xmax,
                offsets.ymax * u.ymax};
    if (type != PriorBoxParameter::CENTER_SIZE)
      return {prior.xmin + d.xmin, prior.ymin + d.ymin, prior.xmax + d.xmax, prior.ymax + d.ymax};
    const float x = (prior.xmin + prior.xmax) / 2 + d.xmin;
    const float y = (prior.ymin + prior.ymax) / 2 + d.ymin;
    const float w = std::exp(d.xmax) * prior.width(), h = std::exp(d.ymax) * prior.height();
    return {x - w / 2, y - h / 2, x + w / 2, y + h / 2};
  }

  Box encode(const Box& prior, const Box& variance, const Box& box) const {
    const Box u = units(prior, variance);
    Box d{box.xmin - prior.xmin, box.ymin - prior.ymin, box.xmax - prior.xmax,
          box.ymax - prior.ymax};
    if (type == PriorBoxParameter::CENTER_SIZE)
      d = {(d.xmin + d.xmax) / 2, (d.ymin + d.ymax) / 2, std::log(box.width() / prior.width()),
           std::log(box.height() / prior.height())};
    return {d.xmin / u.xmin, d.ymin / u.ymin, d.xmax / u.xmax, d.ymax / u.ymax};
  }
};

/// Non-maximum suppression: returns the indices of the remaining boxes, highest score first. Boxes
/// need a score above `least`. Source: matches SSD's Caffe.
inline std::vector<Index> suppress(const NonMaximumSuppressionParameter& p,
                                   const std::vector<Box>& boxes, const std::vector<float>& scores,
                                   float least) {
  std::vector<Index> order, kept;
  for (std::size_t i = 0; i < scores.size(); ++i)
    if (scores[i] > least) order.push_back(static_cast<Index>(i));
  const auto score = [&](Index i) { return at(scores, i); };
  const auto box = [&](Index i) { return at(boxes, i); };
  std::stable_sort(order.begin(), order.end(),
                   [&](Index a, Index b) { return score(a) > score(b); });
  if (p.has_top_k() && p.top_k() >= 0 && p.top_k() < static_cast<Index>(order.size()))
    order.resize(static_cast<std::size_t>(p.top_k()));
  float threshold = p.nms_threshold();
  for (const Index i : order) {
    const auto hides = [&](Index k) { return overlap(box(k), box(i)) > threshold; };
    if (std::any_of(kept.begin(), kept.end(), hides)) continue;
    kept.push_back(i);
    if (p.eta() < 1 && threshold > 0.5f) threshold *= p.eta();
  }
  return kept;
}

}  // namespace doppio
