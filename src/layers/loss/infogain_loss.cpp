#include <algorithm>

#include "core/printable.hpp"
#include "core/with_context.hpp"
#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "io/file_kind.hpp"
#include "io/input_file.hpp"
#include "layers/loss/labels.hpp"

namespace doppio {
namespace {

constexpr float kLeastProbability = 1e-20f;  // keeps the logarithm finite

/// What the forward pass counts over all items, in one reduction.
enum Count { kLoss, kCounted, kBad, kCounts };

void count(Context& ctx, const ClassAxis& axis, const Labels& labels, const float* H,
           const float* p, float* out) {
  reduce_rows(ctx, kCounts, axis.items(), 0, Sum{}, out,
              [=, a = axis, l = labels] KERNEL(Index what, Index item) -> double {
                const Index label = l[item];
                if (what == kBad) return label == Labels::kOutOfRange;
                if (label < 0) return 0;
                if (what == kCounted) return 1;
                double loss = 0;
                for (Index c = 0; c < a.classes; ++c) {
                  const float likelihood = p[a.begin(item) + c * a.inner];
                  loss -= H[label * a.classes + c] *
                          std::log(likelihood < kLeastProbability ? kLeastProbability : likelihood);
                }
                return loss;
              });
}

/// Reads a BlobProto of classes x classes numbers from a file.
Tensor read_matrix(const std::string& path, Index classes) {
  constexpr std::string_view kField = "infogain_loss_param.source";
  const std::string bytes = with_context(field_context(kField), [&] { return read_file(path); });
  BlobProto blob;
  require_field(blob.ParseFromString(bytes) && blob.data_size() > 0, kField, printable(path),
                " is not a BlobProto of numbers", kind_hint(bytes));
  require_field(blob.data_size() == classes * classes, kField, printable(path), " holds ",
                blob.data_size(), " numbers; ", classes, " classes need ", classes, " x ", classes);
  Tensor H;
  H.reshape({classes, classes});
  std::copy(blob.data().begin(), blob.data().end(), H.write_host());
  return H;
}

/// Softmax, then the mean of -sum over classes k of H[label, k] log p_k, where H weights each class
/// per label. With the identity for H, this is SoftmaxWithLoss.
///
/// Bottoms: scores (classes along infogain_loss_param.axis, default 1), labels as for
/// SoftmaxWithLoss, and H (classes x classes numbers) unless infogain_loss_param.source names its
/// file. Tops: the loss, and the probabilities if there is a second one. The divisor is that of
/// SoftmaxWithLoss.
///
/// Throws: Error if sizes disagree; in each forward pass, if a label is out of range.
/// Source: matches Caffe, which does not check labels.
class InfogainLoss final : public Layer {
 public:
  explicit InfogainLoss(const LayerParameter& layer)
      : p_(layer.infogain_loss_param()),
        has_ignored_(layer.loss_param().has_ignore_label()),
        ignored_(static_cast<float>(layer.loss_param().ignore_label())),
        normalization_(layer.loss_param().normalization()) {
    require_field(!layer.loss_param().has_normalize(), "loss_param.normalize",
                  "normalize does not work here; use normalization");
  }

  void reshape(Context&, Bottoms bottom, Tops top) override {
    axis_ = ClassAxis(bottom[0]->shape(), p_.axis());
    require_label_count(axis_, bottom[0]->shape(), bottom[1]->shape());
    if (bottom.size() > 2) {
      require(bottom[2]->count() == axis_.classes * axis_.classes, "H is ",
              bottom[2]->shape().text(), "; ", axis_.classes, " classes need ", axis_.classes,
              " x ", axis_.classes, " numbers");
    } else {
      require_field(p_.has_source(), "infogain_loss_param",
                    "H is missing: name its file as source, or give a third bottom");
      if (from_file_.count() != axis_.classes * axis_.classes)
        from_file_ = read_matrix(p_.source(), axis_.classes);
    }
    top[0]->reshape({});
    if (top.size() > 1) top[1]->reshape(bottom[0]->shape());
    probabilities_.reshape(bottom[0]->shape());
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    softmax(ctx, axis_, bottom[0]->data.read(ctx), probabilities_.write(ctx), scratch_);
    const float* p = probabilities_.read(ctx);
    counts_.reshape({kCounts});
    count(ctx, axis_, labels(bottom[1]->data.read(ctx)), matrix(bottom).read(ctx), p,
          counts_.write(ctx));
    const float* counts = counts_.read_host();
    if (counts[kBad] > 0) report_label_out_of_range(axis_, labels(bottom[1]->data.read_host()));
    normalizer_ = loss_divisor(normalization_, axis_, counts[kCounted]);
    *top[0]->data.write_host() = counts[kLoss] / normalizer_;
    if (top.size() < 2) return;
    float* y = top[1]->data.write(ctx);
    parallel_for(ctx, probabilities_.count(), [=] KERNEL(Index i) { y[i] = p[i]; });
  }

  /// dx_k = (p_k * sum of H[label] - H[label, k]) * dloss / normalizer; 0 for an ignored item.
  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (!wanted[0]) return;
    const float weight = *top[0]->grad.read_host() / normalizer_;
    const float* p = probabilities_.read(ctx);
    const float* H = matrix(bottom).read(ctx);
    float* dx = bottom[0]->grad.write(ctx);
    row_sums_.reshape({axis_.classes});
    float* sums = row_sums_.write(ctx);
    reduce_rows(ctx, axis_.classes, axis_.classes, 0, Sum{}, sums,
                [=, C = axis_.classes] KERNEL(Index r, Index c) { return H[r * C + c]; });
    parallel_for(
        ctx, {axis_.outer, axis_.classes, axis_.inner},
        [=, a = axis_, l = labels(bottom[1]->data.read(ctx))] KERNEL(Index o, Index c, Index i) {
      const Index at = (o * a.classes + c) * a.inner + i, label = l[o * a.inner + i];
      dx[at] = label < 0 ? 0 : (p[at] * sums[label] - H[label * a.classes + c]) * weight;
        });
  }

 private:
  const Tensor& matrix(Bottoms bottom) const {
    return bottom.size() > 2 ? bottom[2]->data : from_file_;
  }
  Labels labels(const float* values) const {
    return {values, axis_.classes, has_ignored_, ignored_};
  }

  InfogainLossParameter p_;
  bool has_ignored_;
  float ignored_;
  LossParameter::NormalizationMode normalization_;
  ClassAxis axis_;
  float normalizer_ = 1;  // of the last forward pass
  Tensor probabilities_, from_file_, row_sums_, scratch_, counts_;
};

DOPPIO_REGISTER_LAYER("InfogainLoss", InfogainLoss, .bottoms = {2, 3}, .tops = {1, 2},
                      .is_loss = true, .no_grad_bottoms = 0b110, .backward_reads_top = false);

}  // namespace
}  // namespace doppio
