#pragma once
#include <optional>
#include <string>

#include "doppio.pb.h"
#include "doppio/net.hpp"

namespace doppio {

/// The scores and labels of a classification net.
struct Classifier {
  const Blob* scores = nullptr;
  const Blob* labels = nullptr;
  Index axis = 1;              ///< class axis of `scores`
  bool probabilities = false;  ///< the scores are probabilities already
  std::optional<int> ignore_label = {};
};

/// Returns the bottoms of the last SoftmaxWithLoss layer, else of the last Accuracy layer, else the
/// top of the last Softmax layer and the blob `label`. Returns nullopt if the net has none of them.
std::optional<Classifier> find_classifier(Net& net, const NetParameter& param);

/// Counts how often the true class has the highest score, or one of the 5 highest. A tie counts as
/// wrong, as in the Accuracy layer.
class TopCounts {
 public:
  /// Adds the current batch in `classifier`'s blobs. Throws: Error if labels and scores do not
  /// match.
  void add(const Classifier& classifier);
  /// Returns "top-1 error 24.00 %, top-5 error 8.00 % (accuracy 76.00 %, 92.00 %) of 50 labels".
  /// Omits top-5 unless there are more than five classes.
  std::string summary() const;

  Index labels() const { return labels_; }
  Index top1() const { return top1_; }
  Index top5() const { return top5_; }

 private:
  Index labels_ = 0, top1_ = 0, top5_ = 0, classes_ = 0;
};

}  // namespace doppio
