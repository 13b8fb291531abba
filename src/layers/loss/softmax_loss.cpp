#include <cfloat>

#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/loss/labels.hpp"

namespace doppio {
namespace {

/// What the forward pass counts over all items, in one reduction.
enum Count { kLoss, kCounted, kBad, kCounts };

/// Reads stored probabilities, each at the index of its score.
struct Stored {
  const float* values;
  HOST_DEVICE float operator()(Index, Index at) const { return values[at]; }
};

/// Recomputes probabilities from the scores: e^(x - shift) / total of the item.
struct Computed {
  const float *x, *shift, *total;
  HOST_DEVICE float operator()(Index item, Index at) const {
    return fast_exp(x[at] - shift[item]) / total[item];
  }
};

template <class Probability>
void count(Context& ctx, const ClassAxis& axis, const Labels& labels, Probability probability,
           float* out) {
  reduce_rows(ctx, kCounts, axis.items(), 0, Sum{}, out,
              [=, a = axis, l = labels] KERNEL(Index what, Index item) -> double {
                const Index label = l[item];
                if (what == kBad) return label == Labels::kOutOfRange;
                if (label < 0) return 0;
                if (what == kCounted) return 1;
                const float likelihood = probability(item, a.begin(item) + label * a.inner);
                return -std::log(likelihood < FLT_MIN ? FLT_MIN : likelihood);
              });
}

/// dx = (p - 1 at the label) * weight; 0 for an item without a label.
template <class Probability>
void subtract_labels(Context& ctx, const ClassAxis& axis, const Labels& labels,
                     Probability probability, const float* weight, float* dx) {
  parallel_for(ctx, {axis.outer, axis.classes, axis.inner},
               [=, a = axis, l = labels] KERNEL(Index o, Index c, Index i) {
    const Index at = (o * a.classes + c) * a.inner + i, item = o * a.inner + i, label = l[item];
    dx[at] = label < 0 ? 0 : (probability(item, at) - (c == label ? 1 : 0)) * weight[0];
  });
}

/// y = the sum over all items / loss_divisor(); NaN if a label was out of range.
void divide(Context& ctx, const ClassAxis& axis, LossParameter::NormalizationMode mode,
            const float* counts, float* y) {
  parallel_for(ctx, 1, [=, a = axis] KERNEL(Index) {
    y[0] = counts[kBad] > 0 ? NAN : counts[kLoss] / loss_divisor(mode, a, counts[kCounted]);
  });
}

/// weight = dloss / loss_divisor().
void weigh(Context& ctx, const ClassAxis& axis, LossParameter::NormalizationMode mode,
           const float* counts, const float* dloss, float* weight) {
  parallel_for(ctx, 1, [=, a = axis] KERNEL(Index) {
    weight[0] = dloss[0] / loss_divisor(mode, a, counts[kCounted]);
  });
}

/// Softmax, then the mean of -log(the label's probability): the cross-entropy loss.
///
/// Bottoms: scores (any shape, classes along softmax_param.axis, default 1) and labels, one per
/// item, whole numbers from 0 to classes - 1. Tops: the loss (a scalar); if there is a second one,
/// the probabilities. The sum is divided by the number of items whose label is not
/// loss_param.ignore_label (normalization VALID, the default), of all items (FULL), by the batch
/// size (BATCH_SIZE) or by 1 (NONE), and at least by 1.
///
/// Throws: Error if there is not one label per item; from each pass, if a label is out of range.
/// Source: matches Caffe, which does not check labels.
class SoftmaxWithLoss final : public Layer {
 public:
  explicit SoftmaxWithLoss(const LayerParameter& layer)
      : axis_param_(layer.softmax_param().axis()),
        has_ignored_(layer.loss_param().has_ignore_label()),
        ignored_(static_cast<float>(layer.loss_param().ignore_label())),
        normalization_(layer.loss_param().normalization()) {
    const LossParameter& loss = layer.loss_param();
    if (!loss.has_normalization() && loss.has_normalize())
      normalization_ = loss.normalize() ? LossParameter::VALID : LossParameter::BATCH_SIZE;
  }

  void reshape(Context&, Bottoms bottom, Tops top) override {
    axis_ = ClassAxis(bottom[0]->shape(), axis_param_);
    require_label_count(axis_, bottom[0]->shape(), bottom[1]->shape());
    top[0]->reshape({});
    if (top.size() > 1) top[1]->reshape(bottom[0]->shape());
    probabilities_.reshape(bottom[0]->shape());
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    computes_ = kDevice == Device::cuda && top.size() == 1;
    const float* x = bottom[0]->data.read(ctx);
    if (computes_) {
      shifts_.reshape({axis_.items()});
      totals_.reshape({axis_.items()});
      sum_exponentials(ctx, axis_, x, shifts_.write(ctx), totals_.write(ctx));
    } else {
      softmax(ctx, axis_, x, probabilities(top).write(ctx), shifts_);
    }
    counts_.reshape({kCounts});
    float* counts = counts_.write(ctx);
    with_probabilities(ctx, bottom, top, [&](auto probability) {
      count(ctx, axis_, labels(bottom[1]->data.read(ctx)), probability, counts);
    });
    divide(ctx, axis_, normalization_, counts, top[0]->data.write(ctx));
  }

  void verify(Context&, Bottoms bottom) override {
    if (counts_.read_host()[kBad] > 0)
      report_label_out_of_range(axis_, labels(bottom[1]->data.read_host()));
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (!wanted[0]) return;
    float* weight = weight_.write(ctx);
    weigh(ctx, axis_, normalization_, counts_.read(ctx), top[0]->grad.read(ctx), weight);
    float* dx = bottom[0]->grad.write(ctx);
    with_probabilities(ctx, bottom, top, [&](auto probability) {
      subtract_labels(ctx, axis_, labels(bottom[1]->data.read(ctx)), probability, weight, dx);
    });
  }

 private:
  Tensor& probabilities(Tops top) { return top.size() > 1 ? top[1]->data : probabilities_; }

  /// Calls run(probability), where probability(item, index) is stored or recomputed.
  template <class Run>
  void with_probabilities(Context& ctx, Bottoms bottom, Tops top, Run run) {
    if (computes_)
      run(Computed{bottom[0]->data.read(ctx), shifts_.read(ctx), totals_.read(ctx)});
    else
      run(Stored{probabilities(top).read(ctx)});
  }

  Labels labels(const float* values) const {
    return {values, axis_.classes, has_ignored_, ignored_};
  }

  Index axis_param_;
  bool has_ignored_;
  float ignored_;
  LossParameter::NormalizationMode normalization_;
  ClassAxis axis_;
  bool computes_ = false;  // recomputes the probabilities, on GPUs: cheaper than storing
  Tensor probabilities_, shifts_, totals_, counts_, weight_;
};

DOPPIO_REGISTER_LAYER("SoftmaxWithLoss", SoftmaxWithLoss, .bottoms = exactly(2), .tops = {1, 2},
                      .is_loss = true, .no_grad_bottoms = 0b10);

}  // namespace
}  // namespace doppio
