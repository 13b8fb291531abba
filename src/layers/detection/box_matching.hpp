#pragma once
#include <limits>
#include <vector>

#include "layers/detection/boxes.hpp"

namespace doppio {

/// A labelled object of an image.
struct GroundTruth {
  Index label;
  Box box;
};

/// The objects matched with the priors of an image.
struct Matches {
  static constexpr Index kNone = -1, kLeftOut = -2;

  std::vector<Index> object;  ///< per prior: number of its object, or one of the above
  std::vector<float> best;    ///< per prior: its largest overlap with any object
};

/// Matches priors with objects, each prior with at most one.
///
/// First each object is matched with the prior that overlaps it most, in order of decreasing
/// overlap; then, with PER_PREDICTION, each remaining prior with the object that it overlaps most,
/// if by overlap_threshold or more. With ignore_cross_boundary_bbox, priors beyond the image are
/// left out.
/// Source: matches SSD's Caffe.
class Matcher {
 public:
  Matcher(const MultiBoxLossParameter& p, const Priors& priors,
          const std::vector<GroundTruth>& objects)
      : p_(p), priors_(priors), objects_(objects), free_(objects.size(), true) {
    matches_.object.assign(static_cast<std::size_t>(priors.count), Matches::kNone);
    matches_.best.assign(static_cast<std::size_t>(priors.count), 0);
  }

  Matches run() {
    measure();
    while (match_best_pair()) continue;
    if (p_.match_type() == MultiBoxLossParameter::PER_PREDICTION) match_the_rest();
    return std::move(matches_);
  }

 private:
  struct Pair {
    std::size_t prior, object;
    float overlap;
  };

  void measure() {
    for (std::size_t i = 0; i < matches_.object.size(); ++i) {
      const Box prior = box_at(priors_.boxes, static_cast<Index>(i));
      const bool beyond = prior.xmin < 0 || prior.ymin < 0 || prior.xmax > 1 || prior.ymax > 1;
      if (p_.ignore_cross_boundary_bbox() && beyond) {
        matches_.object[i] = Matches::kLeftOut;
        continue;
      }
      for (std::size_t j = 0; j < objects_.size(); ++j) {
        const float common = overlap(prior, objects_[j].box);
        if (common <= 1e-6f) continue;
        pairs_.push_back({i, j, common});
        matches_.best[i] = std::max(matches_.best[i], common);
      }
    }
  }

  void match(const Pair& pair) {
    matches_.object[pair.prior] = static_cast<Index>(pair.object);
    matches_.best[pair.prior] = pair.overlap;
  }

  /// Matches the free prior and object that overlap most; false if there are none.
  bool match_best_pair() {
    const Pair* best = nullptr;
    for (const Pair& pair : pairs_)
      if (matches_.object[pair.prior] == Matches::kNone && free_[pair.object] &&
          (!best || pair.overlap > best->overlap))
        best = &pair;
    if (!best) return false;
    match(*best);
    free_[best->object] = false;
    return true;
  }

  void match_the_rest() {
    std::vector<const Pair*> best(matches_.object.size());
    for (const Pair& pair : pairs_)
      if (matches_.object[pair.prior] == Matches::kNone && pair.overlap >= p_.overlap_threshold() &&
          (!best[pair.prior] || pair.overlap > best[pair.prior]->overlap))
        best[pair.prior] = &pair;
    for (const Pair* pair : best)
      if (pair) match(*pair);
  }

  const MultiBoxLossParameter& p_;
  const Priors& priors_;
  const std::vector<GroundTruth>& objects_;
  std::vector<Pair> pairs_;  // that overlap, by prior and object
  std::vector<bool> free_;   // per object
  Matches matches_;
};

}  // namespace doppio
