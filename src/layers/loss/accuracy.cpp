#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/loss/labels.hpp"

namespace doppio {
namespace {

/// rivals[item] = number of other classes that score at least as high as the label, or NaN.
void count_rivals(Context& ctx, const ClassAxis& axis, const Labels& labels, const float* scores,
                  float* rivals) {
  reduce_rows(ctx, axis.items(), axis.classes, 0, Sum{}, rivals,
              [=, a = axis, l = labels] KERNEL(Index item, Index c) -> double {
                const float* x = scores + a.begin(item);
                const Index label = l[item];
                return label >= 0 && c != label && !(x[c * a.inner] < x[label * a.inner]);
              });
}

enum Count { kCorrect, kCounted, kBad, kCounts };

/// out = numbers of items that are correct, that count, and whose label is out of range.
void count_items(Context& ctx, Index items, const Labels& labels, const float* rivals, float top_k,
                 float* out) {
  reduce_rows(ctx, kCounts, items, 0, Sum{}, out,
              [=, l = labels] KERNEL(Index what, Index item) -> double {
                const Index label = l[item];
                if (what == kBad) return label == Labels::kOutOfRange;
                return label >= 0 && (what == kCounted || rivals[item] < top_k);
              });
}

/// out[c] = fraction of the items of class c that are correct; 0 if there are none. `hits` and
/// `totals` hold a number per class.
void share_per_class(Context& ctx, Index items, const Labels& labels, const float* rivals,
                     float top_k, float* hits, float* totals, float* out) {
  reduce_rows(ctx, labels.classes, items, 0, Sum{}, hits,
              [=, l = labels] KERNEL(Index c, Index item) -> double {
                return l[item] == c && rivals[item] < top_k;
              });
  reduce_rows(ctx, labels.classes, items, 0, Sum{}, totals,
              [=, l = labels] KERNEL(Index c, Index item) -> double { return l[item] == c; });
  parallel_for(ctx, labels.classes,
               [=] KERNEL(Index c) { out[c] = totals[c] > 0 ? hits[c] / totals[c] : 0; });
}

/// Fraction of items whose label is among the top_k classes with the highest scores.
///
/// Bottoms: scores (any shape, classes along accuracy_param.axis, default 1) and labels, one per
/// item, whole numbers from 0 to classes - 1. Tops: the accuracy (a scalar, 0 if no item counts);
/// if there is a second one, the accuracy of each class. An item is correct if fewer than top_k
/// (default 1) other classes score at least as high as its label, so a tie counts against the net.
/// Items labelled ignore_label do not count. There is no gradient.
///
/// Throws: Error if there is not one label per item or top_k does not fit; in each forward pass, if
/// a label is out of range. Source: matches Caffe, which does not check labels.
class Accuracy final : public Layer {
 public:
  explicit Accuracy(const LayerParameter& layer)
      : axis_param_(layer.accuracy_param().axis()),
        top_k_(layer.accuracy_param().top_k()),
        has_ignored_(layer.accuracy_param().has_ignore_label()),
        ignored_(static_cast<float>(layer.accuracy_param().ignore_label())) {
    require_field(top_k_ > 0, "accuracy_param.top_k", "top_k must be at least 1");
  }

  void reshape(Context&, Bottoms bottom, Tops top) override {
    axis_ = ClassAxis(bottom[0]->shape(), axis_param_);
    require_field(top_k_ <= axis_.classes, "accuracy_param.top_k", "top_k ", top_k_,
                  " exceeds the ", axis_.classes, " classes");
    require_label_count(axis_, bottom[0]->shape(), bottom[1]->shape());
    top[0]->reshape({});
    if (top.size() > 1) top[1]->reshape({axis_.classes});
    rivals_.reshape({axis_.items()});
    per_class_.reshape({2, axis_.classes});
    counts_.reshape({kCounts});
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    const Labels labels = these_labels(bottom[1]->data.read(ctx));
    const auto top_k = static_cast<float>(top_k_);
    count_rivals(ctx, axis_, labels, bottom[0]->data.read(ctx), rivals_.write(ctx));
    const float* rivals = rivals_.read(ctx);
    count_items(ctx, axis_.items(), labels, rivals, top_k, counts_.write(ctx));
    const float* counts = counts_.read_host();
    if (counts[kBad] > 0)
      report_label_out_of_range(axis_, these_labels(bottom[1]->data.read_host()));
    *top[0]->data.write_host() = counts[kCounted] > 0 ? counts[kCorrect] / counts[kCounted] : 0;
    if (top.size() == 1) return;
    float* hits = per_class_.write(ctx);
    share_per_class(ctx, axis_.items(), labels, rivals, top_k, hits, hits + axis_.classes,
                    top[1]->data.write(ctx));
  }

 private:
  Labels these_labels(const float* values) const {
    return {values, axis_.classes, has_ignored_, ignored_};
  }

  Index axis_param_, top_k_;
  bool has_ignored_;
  float ignored_;
  ClassAxis axis_;
  Tensor rivals_, per_class_, counts_;
};

DOPPIO_REGISTER_LAYER("Accuracy", Accuracy, .bottoms = exactly(2), .tops = {1, 2},
                      .no_grad_bottoms = 0b11, .backward_reads_bottom = false,
                      .backward_reads_top = false);

}  // namespace
}  // namespace doppio
