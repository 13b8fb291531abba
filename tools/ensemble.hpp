#pragma once
#include <string>
#include <vector>

#include "doppio/tensor.hpp"
#include "tools/accuracy.hpp"

namespace doppio {

/// What --help says about several nets and views.
constexpr const char* kEnsembleHelp =
    "Several files in --weights, separated by commas, are as many nets, whose probabilities are\n"
    "averaged; --model is one net for all of them, or a list with one for each. (`doppio train`\n"
    "copies several files into one net.)";

/// One net of those that `test` and `classify` average.
struct Member {
  std::string model, weights;  ///< files
};

/// Pairs --model and --weights, both lists with commas; one model serves for all weights.
/// Throws: UsageError if neither has one entry, or if their numbers differ.
std::vector<Member> members_of_flags();

/// The mean of several nets' class probabilities for the same batch.
class MeanProbabilities {
 public:
  /// Adds a net's probabilities, the softmax of its scores unless they are probabilities already;
  /// `model` is its file. Throws: Error that names both files if the scores are of another shape or
  /// belong to other labels than the first net's.
  void add(const Classifier& net, const std::string& model);

  /// The mean as scores, valid until the next add(), which begins anew.
  Classifier take();

 private:
  Classifier settings_;  // of the first net
  std::string model_;
  Blob scores_, labels_;
  std::vector<double> sums_;
  int nets_ = 0;
};

}  // namespace doppio
