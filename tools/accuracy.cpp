#include "tools/accuracy.hpp"

#include <algorithm>
#include <iomanip>
#include <sstream>

#include "net/passes/probabilities.hpp"

namespace doppio {

namespace {

const LayerParameter* find_layer(const NetParameter& param, const std::string& name) {
  for (const LayerParameter& layer : param.layer())
    if (layer.name() == name) return &layer;
  return nullptr;
}

const NetLayer* last_layer(Net& net, const std::string& type) {
  const NetLayer* last = nullptr;
  for (const NetLayer& layer : net.layers())
    if (layer.type == type) last = &layer;
  return last;
}

std::string percent(Index part, Index all) {
  std::ostringstream s;
  s << std::fixed << std::setprecision(2)
    << 100.0 * static_cast<double>(part) / static_cast<double>(all) << " %";
  return s.str();
}

/// Returns true if `blob` comes from a Softmax layer, through layers that keep probabilities.
bool from_softmax(const Net& net, const Blob* blob) {
  for (auto l = net.layers().rbegin(); l != net.layers().rend(); ++l) {
    if (std::find(l->tops.begin(), l->tops.end(), blob) == l->tops.end()) continue;
    if (!keeps_probabilities(l->type)) return l->type == "Softmax";
    blob = l->bottoms[0];
  }
  return false;
}

}  // namespace

std::optional<Classifier> find_classifier(Net& net, const NetParameter& param) {
  if (const NetLayer* l = last_layer(net, "SoftmaxWithLoss")) {
    Classifier c{.scores = l->bottoms[0], .labels = l->bottoms[1]};
    const LayerParameter* p = find_layer(param, l->name);
    if (p) c.axis = p->softmax_param().axis();
    if (p && p->loss_param().has_ignore_label()) c.ignore_label = p->loss_param().ignore_label();
    return c;
  }
  if (const NetLayer* l = last_layer(net, "Accuracy")) {
    Classifier c{.scores = l->bottoms[0], .labels = l->bottoms[1]};
    c.probabilities = from_softmax(net, c.scores);
    const LayerParameter* p = find_layer(param, l->name);
    if (p) c.axis = p->accuracy_param().axis();
    if (p && p->accuracy_param().has_ignore_label())
      c.ignore_label = p->accuracy_param().ignore_label();
    return c;
  }
  if (const NetLayer* l = last_layer(net, "Softmax"); l && net.has_blob("label")) {
    const LayerParameter* p = find_layer(param, l->name);
    return Classifier{.scores = l->tops[0],
                      .labels = &net.blob("label"),
                      .axis = p ? p->softmax_param().axis() : 1,
                      .probabilities = true};
  }
  return std::nullopt;
}

void TopCounts::add(const Classifier& c) {
  const Shape& shape = c.scores->shape();
  const Index axis = shape.canonical(c.axis), C = shape[axis];
  const Index outer = shape.count_before(axis), inner = shape.count_from(axis + 1);
  require(c.labels->count() == outer * inner, "there are ", c.labels->count(),
          " labels for scores of ", shape.text());
  const float* scores = c.scores->data.read_host();
  const float* labels = c.labels->data.read_host();
  classes_ = C;
  for (Index n = 0; n < outer; ++n)
    for (Index i = 0; i < inner; ++i) {
      const auto label = static_cast<Index>(labels[n * inner + i]);
      if (c.ignore_label && label == *c.ignore_label) continue;
      require(label >= 0 && label < C, "label ", label, " is out of range; there are ", C,
              " classes, 0 to ", C - 1);
      const float* row = scores + n * C * inner + i;
      Index not_worse = 0;
      for (Index k = 0; k < C; ++k)  // nan counts as a tie
        not_worse += k != label && !(row[k * inner] < row[label * inner]);
      ++labels_;
      top1_ += not_worse < 1;
      top5_ += not_worse < 5;
    }
}

std::string TopCounts::summary() const {
  if (labels_ == 0) return "no labels to count";
  const bool both = classes_ > 5;
  std::string text = "top-1 error " + percent(labels_ - top1_, labels_);
  if (both) text += ", top-5 error " + percent(labels_ - top5_, labels_);
  text += " (accuracy " + percent(top1_, labels_);
  if (both) text += ", " + percent(top5_, labels_);
  return str(text, ") of ", labels_, " labels");
}

}  // namespace doppio
