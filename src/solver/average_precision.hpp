#pragma once
#include <map>
#include <string>
#include <vector>

#include "doppio/tensor.hpp"

namespace doppio {

/// Gathers what DetectionEvaluate says of the batches of a test, for average precisions.
class DetectionScores {
 public:
  /// The rows of a batch, R x 5: (-1, class, number of objects, -1, -1) or (image, class, score,
  /// right, wrong).
  void add(const Tensor& rows);

  /// Average precision of each class, as SolverParameter.ap_version says; 0 for one without objects
  /// or detections. Source: matches SSD's Caffe.
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
