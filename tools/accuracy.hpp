#pragma once
#include <optional>
#include <string>

#include "doppio.pb.h"
#include "doppio/net.hpp"

namespace doppio {

/// The scores and labels that a net classifies with.
struct Classifier {
  const Blob* scores = nullptr;
  const Blob* labels = nullptr;
  Index axis = 1;              ///< of the classes in `scores`
  bool probabilities = false;  ///< the scores are some already
  std::optional<int> ignore_label = {};
};

/// Those of the last SoftmaxWithLoss layer; else of the last Accuracy layer; else the top of the
/// last Softmax layer and the blob `label`. Nothing if the net has none of them.
std::optional<Classifier> find_classifier(Net& net, const NetParameter& param);

/// Counts how often the true class is among the best 1 and 5 scores. A tie counts against it, as in
/// the Accuracy layer.
class TopCounts {
 public:
  /// Adds the batch that is in `classifier`'s blobs. Throws: Error if the labels do not fit the
  /// scores.
  void add(const Classifier& classifier);
  /// "top-1 error 24.00 %, top-5 error 8.00 % (accuracy 76.00 %, 92.00 %) of 50 labels"; top-5 if
  /// there are more than five classes.
  std::string summary() const;

  Index labels() const { return labels_; }
  Index top1() const { return top1_; }
  Index top5() const { return top5_; }

 private:
  Index labels_ = 0, top1_ = 0, top5_ = 0, classes_ = 0;
};

}  // namespace doppio
