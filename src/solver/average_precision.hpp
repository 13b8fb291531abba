#pragma once
#include <map>
#include <string>
#include <vector>

#include "doppio/tensor.hpp"

namespace doppio {

/// Collects DetectionEvaluate tops of all batches of a test and computes average precisions.
class DetectionScores {
 public:
  /// Adds the rows of a batch, R x 5: (-1, class, number of objects, -1, -1) or (image, class,
  /// score, true positive, false positive).
  void add(const Tensor& rows);

  /// Returns the average precision of each class, with `version` as in SolverParameter.ap_version,
  /// and 0 for a class without objects or detections. Source: matches SSD's Caffe.
  std::map<int, float> average_precisions(const std::string& version) const;

 private:
  struct Detection {
    float score;
    bool right;
  };
  struct Class {
    double objects = 0;
    std::vector<Detection> detections;
  };
  std::map<int, Class> classes_;
};

}  // namespace doppio
