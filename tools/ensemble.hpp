#pragma once
#include <string>
#include <vector>

#include "doppio/tensor.hpp"
#include "tools/accuracy.hpp"

namespace doppio {

/// The help text on several nets and views.
constexpr const char* kEnsembleHelp =
    "If --weights lists several files, separated by commas, each makes a net of its own and the\n"
    "probabilities of these nets are averaged. --model is one net for all files, or a list of one\n"
    "net per file. (`doppio train` copies several files into one net.)";

/// One of the nets that `test` and `classify` average.
struct Member {
  std::string model, weights;  ///< file names
};

/// Pairs the comma-separated lists --model and --weights. A single model is used for all weights.
/// Throws: UsageError if there are several models, but not as many as weights.
std::vector<Member> members_of_flags();

/// The mean of several nets' class probabilities for the same batch.
class MeanProbabilities {
 public:
  /// Adds a net's probabilities, or the softmax of its scores if they are not probabilities.
  /// `model` is its file. Throws: Error that names both files if the shape of the scores or the
  /// labels differ from the first net's.
  void add(const Classifier& net, const std::string& model);

  /// Returns the mean, valid until the next add(), which starts a new mean.
  Classifier take();

 private:
  Classifier settings_;  // of the first net
  std::string model_;
  Blob scores_, labels_;
  std::vector<double> sums_;
  int nets_ = 0;
};

}  // namespace doppio
