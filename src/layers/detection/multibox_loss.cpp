#include <limits>

#include "core/at.hpp"
#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/detection/box_matching.hpp"
#include "layers/loss/labels.hpp"
#include "layers/loss/smooth_l1.hpp"
#include "layers/support/sizes.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

/// The loss of SSD box detectors, computed on the host; a scalar.
///
/// Bottoms: offsets N x (P * 4), or N x (P * C * 4) without share_location, of which those of an
/// object's class count; scores N x (P * C) with C = num_classes; priors 1 x 2 x (P * 4); objects 1
/// x 1 x G x 8, rows (image, label, instance, xmin, ymin, xmax, ymax, difficult). Priors are
/// matched with objects (box_matching.hpp). y = (conf + loc_weight loc) / normaliser: loc sums
/// SmoothL1 or half squares of the difference between the offsets of matched priors and those of
/// their objects; conf sums the losses of the scores of matched priors, labelled as their objects,
/// and of mined unmatched ones, labelled as background. loss_param selects the normaliser; VALID,
/// the default, is the number of matched priors. A propagate_down of false omits a part.
/// Throws: Error for labels and images out of range, and bottoms that do not fit each other.
/// Source: Liu et al. (2016); matches SSD's Caffe where priors are matched, not predictions.
/// Without share_location, a prior still has one object at most; in SSD's Caffe, one per class.
class MultiBoxLoss final : public Layer {
 public:
  explicit MultiBoxLoss(const LayerParameter& layer);

  void reshape(Context&, Bottoms bottom, Tops top) override {
    P_ = require_priors(bottom[2]->shape());
    const Shape& offsets = bottom[0]->shape();
    const Shape& scores = bottom[1]->shape();
    const Shape& objects = bottom[3]->shape();
    N_ = offsets.dim_or_1(0);
    require(offsets.axes() > 0 && offsets.count() == Shape({N_, P_, L_, 4}).count(),
            "bottom 0 must hold 4 offsets for each of ", P_ * L_, " boxes, it is ", offsets.text());
    require(scores.dim_or_1(0) == N_ && scores.count() == Shape({N_, P_, C_}).count(),
            "bottom 1 must hold ", C_, " scores for each of ", P_, " priors, it is ",
            scores.text());
    require(objects.axes() > 0 && objects[objects.axes() - 1] == 8,
            "bottom 3 must hold objects, 1 x 1 x G x 8, it is ", objects.text());
    top[0]->reshape(Shape());
  }

  void forward(Context&, Bottoms bottom, Tops top) override {
    const float* offsets = bottom[0]->data.read_host();
    const float* scores = bottom[1]->data.read_host();
    const Priors priors(bottom[2]->shape(), bottom[2]->data.read_host());
    const std::vector<std::vector<GroundTruth>> objects = read_objects(bottom[3]->data);
    targets_.assign(static_cast<std::size_t>(N_ * P_), {});
    Index matched = 0;
    double loc = 0, conf = 0;
    for (Index n = 0; n < N_; ++n) {
      Target* targets = targets_.data() + n * P_;
      aim(at(objects, n), priors, targets);
      if (!at(objects, n).empty()) mine(offsets + n * P_ * L_ * 4, scores + n * P_ * C_, targets);
      for (Index i = 0; i < P_; ++i) {
        matched += targets[i].matched;
        if (targets[i].matched) loc += loc_loss(offsets + box(n * P_ + i, targets[i]), targets[i]);
        if (targets[i].counts) conf += conf_loss(scores + (n * P_ + i) * C_, targets[i].label);
      }
    }
    ClassAxis axis;
    axis.outer = N_, axis.classes = C_, axis.inner = P_;
    divisor_ = loss_divisor(normalization_, axis, static_cast<float>(matched));
    top[0]->data.write_host()[0] = static_cast<float>(
        ((loc_counts_ ? p_.loc_weight() * loc : 0) + (conf_counts_ ? conf : 0)) / divisor_);
  }

  void backward(Context&, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    const float dy = top[0]->grad.read_host()[0] / divisor_;
    if (wanted[0]) {
      const float* offsets = bottom[0]->data.read_host();
      float* grad = bottom[0]->grad.write_host();
      std::fill_n(grad, bottom[0]->count(), 0.0f);
      for (Index i = 0; i < N_ * P_; ++i) {
        const Target& t = at(targets_, i);
        if (!t.matched) continue;
        for (Index k = box(i, t), end = k + 4; k < end; ++k) {
          const float d = offsets[k] - t.offsets[k % 4];
          grad[k] = dy * p_.loc_weight() * (squared_ ? d : SmoothL1{}.slope(d));
        }
      }
    }
    if (!wanted[1]) return;
    const float* scores = bottom[1]->data.read_host();
    float* grad = bottom[1]->grad.write_host();
    for (Index i = 0; i < N_ * P_; ++i)
      conf_gradient(scores + i * C_, at(targets_, i), dy, grad + i * C_);
  }

 private:
  /// The training target of a prior.
  struct Target {
    bool matched = false, counts = false;  // has an object; its scores have a loss
    bool left_out = false;
    float best = 0;  // largest overlap with any object
    Index label = 0;
    float offsets[4] = {};
  };

  /// Index of the offsets of prior `i`, counted over all images, for its target.
  Index box(Index i, const Target& t) const { return 4 * (i * L_ + (L_ > 1 ? t.label : 0)); }

  /// The objects of each image.
  std::vector<std::vector<GroundTruth>> read_objects(const Tensor& rows) const {
    std::vector<std::vector<GroundTruth>> objects(static_cast<std::size_t>(N_));
    const float* row = rows.read_host();
    for (Index r = 0; r < rows.count() / 8; ++r, row += 8) {
      if (row[0] == -1 || (row[7] != 0 && !p_.use_difficult_gt())) continue;
      require(row[0] >= 0 && row[0] < static_cast<float>(N_), "object ", r, " is in image ", row[0],
              ", but there are ", N_, " images");
      const auto image = static_cast<Index>(row[0]);
      at(objects, image).push_back({label_of(r, row[1], image), {row[3], row[4], row[5], row[6]}});
    }
    return objects;
  }

  Index label_of(Index object, float label, Index image) const {
    const Index background = p_.background_label_id();
    if (p_.map_object_to_agnostic()) return background + 1;
    if (!(label >= 0 && label < static_cast<float>(C_)))
      throw ItemError(
          str("label ", label, " of object ", object, " is out of range for ", C_, " classes"),
          image);
    if (static_cast<Index>(label) == background)
      throw ItemError(str("object ", object, " has the label of the background, ", label), image);
    return static_cast<Index>(label);
  }

  /// Sets the targets of an image's priors, except what mining decides.
  void aim(const std::vector<GroundTruth>& objects, const Priors& priors, Target* targets) const {
    const Matches matches = Matcher(p_, priors, objects).run();
    for (Index i = 0; i < P_; ++i) {
      Target& t = targets[i];
      const Index object = at(matches.object, i);
      t.best = at(matches.best, i);
      t.left_out = object == Matches::kLeftOut;
      t.matched = object >= 0;
      t.counts = t.matched || mining_ == MultiBoxLossParameter::NONE;
      t.label = t.matched ? at(objects, object).label : Index{p_.background_label_id()};
      if (!t.matched) continue;
      const Box prior = box_at(priors.boxes, i), variance = box_at(priors.variances, i);
      const Box d = code_.encode(prior, variance, at(objects, object).box);
      const float offsets[] = {d.xmin, d.ymin, d.xmax, d.ymax};
      std::copy(offsets, offsets + 4, t.offsets);
    }
  }

  /// Selects the unmatched priors that count, or with HARD_EXAMPLE all that count. Priors left out
  /// never count, but HARD_EXAMPLE may put them in the sample.
  void mine(const float* offsets, const float* scores, Target* targets) const {
    if (mining_ == MultiBoxLossParameter::NONE) return;
    const bool hard = mining_ == MultiBoxLossParameter::HARD_EXAMPLE;
    const Index positives =
        std::count_if(targets, targets + P_, [](const Target& t) { return t.matched; });
    struct Candidate {
      Index prior;
      double loss;
    };
    std::vector<Candidate> candidates;
    for (Index i = 0; i < P_; ++i) {
      const Target& t = targets[i];
      if (!hard && (t.left_out || t.matched || t.best >= p_.neg_overlap())) continue;
      const double loc = hard && t.matched ? loc_loss(offsets + box(i, t), t) : 0;
      candidates.push_back({i, conf_loss(scores + i * C_, t.label) + loc});
    }
    const auto wanted =
        hard ? Index{p_.sample_size()}
             : static_cast<Index>(static_cast<float>(positives) * p_.neg_pos_ratio());
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const Candidate& a, const Candidate& b) { return a.loss > b.loss; });
    if (wanted < static_cast<Index>(candidates.size()))
      candidates.resize(static_cast<std::size_t>(wanted));
    std::vector<bool> selected(static_cast<std::size_t>(P_));
    for (const Candidate& c : candidates) at(selected, c.prior) = true;
    for (Index i = 0; i < P_; ++i) {
      Target& t = targets[i];
      if (hard) t.matched = t.matched && at(selected, i);
      t.counts = (at(selected, i) && !t.left_out) || t.matched;
    }
  }

  double loc_loss(const float* offsets, const Target& t) const {
    double sum = 0;
    for (int k = 0; k < 4; ++k) {
      const float d = offsets[k] - t.offsets[k];
      sum += squared_ ? 0.5f * d * d : SmoothL1{}.value(d);
    }
    return sum;
  }

  double conf_loss(const float* scores, Index label) const {
    double sum = 0;
    if (logistic_) {
      for (Index c = 0; c < C_; ++c)  // of -log sigmoid(x), or of -log (1 - sigmoid(x))
        sum += std::log1p(std::exp(-std::abs(double{scores[c]}))) +
               std::max(0.0, double{c == label ? -scores[c] : scores[c]});
      return sum;
    }
    const double max = *std::max_element(scores, scores + C_);
    for (Index c = 0; c < C_; ++c) sum += std::exp(scores[c] - max);
    return std::min(std::log(sum) + max - scores[label],
                    -std::log(double{std::numeric_limits<float>::min()}));
  }

  void conf_gradient(const float* scores, const Target& t, float dy, float* grad) const {
    std::fill_n(grad, C_, 0.0f);
    if (!t.counts) return;
    const double max = *std::max_element(scores, scores + C_);
    double sum = 0;
    for (Index c = 0; c < C_; ++c) sum += std::exp(scores[c] - max);
    for (Index c = 0; c < C_; ++c) {
      const double p =
          logistic_ ? 1 / (1 + std::exp(-double{scores[c]})) : std::exp(scores[c] - max) / sum;
      grad[c] = static_cast<float>(dy * (p - (c == t.label ? 1 : 0)));
    }
  }

  MultiBoxLossParameter p_;
  BoxCode code_;
  MultiBoxLossParameter::MiningType mining_;
  LossParameter::NormalizationMode normalization_;
  bool squared_, logistic_, loc_counts_, conf_counts_;
  Index N_ = 0, P_ = 0, C_ = 0, L_ = 1;  // L: boxes per prior
  std::vector<Target> targets_;          // per image and prior, of the last forward pass
  float divisor_ = 1;
};

LossParameter::NormalizationMode normalization(const LossParameter& p) {
  if (p.has_normalization() || !p.has_normalize()) return p.normalization();
  return p.normalize() ? LossParameter::VALID : LossParameter::BATCH_SIZE;
}

MultiBoxLoss::MultiBoxLoss(const LayerParameter& layer)
    : p_(layer.multibox_loss_param()),
      code_{p_.code_type(), true},
      mining_(!p_.has_do_neg_mining() || p_.has_mining_type() ? p_.mining_type()
              : p_.do_neg_mining()                            ? MultiBoxLossParameter::MAX_NEGATIVE
                                                              : MultiBoxLossParameter::NONE),
      normalization_(normalization(layer.loss_param())),
      squared_(p_.loc_loss_type() == MultiBoxLossParameter::L2),
      logistic_(p_.conf_loss_type() == MultiBoxLossParameter::LOGISTIC),
      loc_counts_(layer.propagate_down_size() < 1 || layer.propagate_down(0)),
      conf_counts_(layer.propagate_down_size() < 2 || layer.propagate_down(1)),
      C_(p_.num_classes()),
      L_(p_.share_location() ? 1 : C_) {
  require_field(C_ > 0, "multibox_loss_param", "num_classes is missing");
  require_size(C_, "multibox_loss_param.num_classes");
  require_field(Index{p_.background_label_id()} < C_, "multibox_loss_param.background_label_id",
                "background_label_id ", p_.background_label_id(), " is not one of ", C_,
                " classes");
  require_field(!p_.map_object_to_agnostic() || (C_ == 2 && p_.background_label_id() == 0),
                "multibox_loss_param.map_object_to_agnostic",
                "map_object_to_agnostic gives objects label background_label_id + 1; it needs "
                "num_classes: 2 and background_label_id: 0");
  require_field(p_.neg_pos_ratio() >= 0, "multibox_loss_param.neg_pos_ratio",
                "neg_pos_ratio must not be negative, it is ", p_.neg_pos_ratio());
  require_field(p_.sample_size() > 0, "multibox_loss_param.sample_size",
                "sample_size must be at least 1, it is ", p_.sample_size());
  const auto refuse = [](bool asked, const char* field, const char* value) {
    require_field(!asked, str("multibox_loss_param.", field), field, value, " is not supported");
  };
  refuse(!p_.use_prior_for_matching(), "use_prior_for_matching", ": false");
  refuse(p_.encode_variance_in_target(), "encode_variance_in_target", ": true");
  refuse(p_.bp_inside(), "bp_inside", ": true");
  refuse(p_.ignore_difficult_gt(), "ignore_difficult_gt", ": true");
  refuse(p_.has_nms_param(), "nms_param", "");
}

DOPPIO_REGISTER_LAYER("MultiBoxLoss", MultiBoxLoss, .bottoms = exactly(4), .is_loss = true,
                      .no_grad_bottoms = 0b1100, .backward_reads_top = false);

}  // namespace
}  // namespace doppio
