#pragma once
#include "math/philox.hpp"

namespace doppio {

/// Consecutive random numbers of one image.
class DrawSequence {
 public:
  DrawSequence(const Random& draws, Index first) : draws_(draws), next_(first) {}

  bool happens(float probability) { return draws_.uniform(next_++) < probability; }
  float between(float low, float high) { return low + (high - low) * draws_.uniform(next_++); }
  Index below(Index n) { return draws_.below(n, next_++); }

 private:
  const Random draws_;
  Index next_;
};

}  // namespace doppio
