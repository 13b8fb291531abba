#include "tools/ensemble.hpp"

#include <algorithm>
#include <cmath>

#include "doppio/error.hpp"
#include "io/comma_list.hpp"
#include "tools/flags.hpp"

namespace doppio {

namespace {

/// Adds the probabilities of `C` classes to `sums`. Consecutive scores are `step` apart.
void add_probabilities(const float* scores, Index C, Index step, bool ready, double* sums) {
  double largest = scores[0], total = 0;
  for (Index c = 1; c < C; ++c) largest = std::max<double>(largest, scores[c * step]);
  for (Index c = 0; c < C; ++c) total += std::exp(scores[c * step] - largest);
  for (Index c = 0; c < C; ++c) {
    const double score = scores[c * step];
    sums[c * step] += ready ? score : std::exp(score - largest) / total;
  }
}

bool same_values(const Tensor& a, const Tensor& b) {
  return a.count() == b.count() &&
         std::equal(a.read_host(), a.read_host() + a.count(), b.read_host());
}

}  // namespace

std::vector<Member> members_of_flags() {
  const std::vector<std::string> models = comma_list(FLAGS_model);
  const std::vector<std::string> weights = comma_list(FLAGS_weights);
  if (models.size() != 1 && models.size() != weights.size())
    throw UsageError(str("--model names ", models.size(), " files and --weights ", weights.size(),
                         "; give one model, or one for each file of weights"));
  std::vector<Member> members;
  for (std::size_t i = 0; i < weights.size(); ++i)
    members.push_back({models[models.size() == 1 ? 0 : i], weights[i]});
  return members;
}

void MeanProbabilities::add(const Classifier& net, const std::string& model) {
  const Shape& shape = net.scores->shape();
  const auto count = static_cast<std::size_t>(shape.count());
  if (nets_++ == 0) {
    settings_ = net;
    model_ = model;
    scores_.reshape(shape);
    labels_.reshape(net.labels->shape());
    std::copy_n(net.labels->data.read_host(), net.labels->count(), labels_.data.write_host());
    sums_.assign(count, 0);
  }
  require(shape == scores_.shape(), "the scores of ", model_, " are ", scores_.shape().text(),
          " and those of ", model, " ", shape.text(),
          ", so they cannot be averaged; the nets need the same classes, and their data layers the "
          "same source and batch_size");
  require(same_values(net.labels->data, labels_.data), model_, " and ", model,
          " read different labels, so their scores cannot be averaged; give their data layers the "
          "same source and batch_size");
  const Index axis = shape.canonical(net.axis), C = shape[axis];
  const Index outer = shape.count_before(axis), inner = shape.count_from(axis + 1);
  const float* scores = net.scores->data.read_host();
  for (Index n = 0; n < outer; ++n)
    for (Index i = 0; i < inner; ++i) {
      const Index first = n * C * inner + i;
      add_probabilities(scores + first, C, inner, net.probabilities, sums_.data() + first);
    }
}

Classifier MeanProbabilities::take() {
  float* scores = scores_.data.write_host();
  for (std::size_t i = 0; i < sums_.size(); ++i) scores[i] = static_cast<float>(sums_[i] / nets_);
  nets_ = 0;
  Classifier mean = settings_;
  mean.scores = &scores_;
  mean.labels = &labels_;
  mean.probabilities = true;
  return mean;
}

}  // namespace doppio
