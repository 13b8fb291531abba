#include <glog/logging.h>

#include <limits>

#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/detection/boxes.hpp"
#include "layers/support/sizes.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

/// Converts regions of 5 values, in pixels of a width x height image, to a PriorBox layer's format:
/// boxes in fractions of the image, then variances of 1.
std::vector<float> as_priors(const Tensor& regions, float width, float height) {
  const Index P = regions.count() / 5;
  std::vector<float> priors(static_cast<std::size_t>(8 * P), 1.0f);
  const float* region = regions.read_host();
  float* box = priors.data();
  for (Index i = 0; i < P; ++i, region += 5, box += 4)
    for (int k = 0; k < 4; ++k) box[k] = region[1 + k] / (k % 2 == 0 ? width : height);
  return priors;
}

/// Decodes a detector's boxes and keeps the best of those that overlap, on the host.
///
/// Bottoms: offsets N x (P * 4), or N x (P * num_classes * 4) without share_location; scores N x
/// (P * num_classes); priors 1 x 2 x (P * 4), or regions of one image if not `normalized`. Top: 1 x
/// 1 x D x 7, rows (image, label, score, xmin, ymin, xmax, ymax) by image, label and score; if
/// nothing was found, one row per image, -1 except for the image. Boxes with a score above
/// confidence_threshold undergo non-maximum suppression per class; the keep_top_k best of an image
/// remain. No gradient. Throws: Error if the bottoms' sizes do not fit each other. Source: Liu et
/// al. (2016); matches SSD's Caffe, but writes no files.
class DetectionOutput final : public Layer {
 public:
  explicit DetectionOutput(const LayerParameter& layer)
      : p_(layer.detection_output_param()),
        code_{p_.code_type(), !p_.variance_encoded_in_target()},
        C_(p_.num_classes()) {
    require_field(p_.num_classes() > 0, "detection_output_param", "num_classes is missing");
    require_size(p_.num_classes(), "detection_output_param.num_classes");
    require_field(p_.nms_param().nms_threshold() >= 0, "detection_output_param.nms_param",
                  "nms_threshold must not be negative, it is ", p_.nms_param().nms_threshold());
    require_field(p_.nms_param().eta() > 0 && p_.nms_param().eta() <= 1,
                  "detection_output_param.nms_param", "eta must be above 0 and at most 1, it is ",
                  p_.nms_param().eta());
    require_field(p_.normalized() || (p_.input_width() > 0 && p_.input_height() > 0),
                  "detection_output_param.normalized",
                  "normalized: false needs input_width and input_height");
    if (p_.save_output_param().has_output_directory())
      LOG(WARNING) << "layer '" << layer.name() << "': detections are not written to "
                   << p_.save_output_param().output_directory();
  }

  void reshape(Context&, Bottoms bottom, Tops top) override {
    N_ = bottom[0]->shape().dim_or_1(0);
    P_ = p_.normalized() ? require_priors(bottom[2]->shape()) : require_regions(*bottom[2]);
    box_classes_ = p_.share_location() ? 1 : C_;
    const Shape& offsets = bottom[0]->shape();
    const Shape& scores = bottom[1]->shape();
    require(offsets.axes() > 0 && offsets.count() == Shape({N_, P_, box_classes_, 4}).count(),
            "bottom 0 must hold 4 offsets for each of ", P_ * box_classes_, " boxes, it is ",
            offsets.text());
    require(scores.dim_or_1(0) == N_ && scores.count() == Shape({N_, P_, C_}).count(),
            "bottom 1 must hold ", C_, " scores for each of ", P_, " priors, it is ",
            scores.text());
    top[0]->reshape({1, 1, 1, 7});  // until the number of detections is known
  }

  void forward(Context&, Bottoms bottom, Tops top) override {
    const std::vector<float> regions =
        p_.normalized() ? std::vector<float>()
                        : as_priors(bottom[2]->data, static_cast<float>(p_.input_width()),
                                    static_cast<float>(p_.input_height()));
    const Priors priors(Shape{1, 2, 4 * P_},
                        p_.normalized() ? bottom[2]->data.read_host() : regions.data());
    const float* offsets = bottom[0]->data.read_host();
    const float* scores = bottom[1]->data.read_host();
    std::vector<Detection> found;
    for (Index n = 0; n < N_; ++n) {
      std::vector<Detection> of_image =
          detect(n, priors, offsets + n * P_ * box_classes_ * 4, scores + n * P_ * C_);
      keep_best(of_image);
      found.insert(found.end(), of_image.begin(), of_image.end());
    }
    if (found.empty())
      for (Index n = 0; n < N_; ++n) found.push_back({n, -1, -1, {-1, -1, -1, -1}});
    top[0]->reshape({1, 1, static_cast<Index>(found.size()), 7});
    float* out = top[0]->data.write_host();
    for (const Detection& d : found)
      for (const float v : {static_cast<float>(d.image), static_cast<float>(d.label), d.score,
                            d.box.xmin, d.box.ymin, d.box.xmax, d.box.ymax})
        *out++ = v;
  }

 private:
  Index require_regions(const Blob& regions) const {
    require(regions.count() % 5 == 0 && N_ == 1,
            "without `normalized`, bottom 2 must hold regions of 5 values of one image, it is ",
            regions.shape().text(), " for ", N_, " images");
    return regions.count() / 5;
  }

  struct Detection {
    Index image, label;
    float score;
    Box box;
  };

  std::vector<Detection> detect(Index image, const Priors& priors, const float* offsets,
                                const float* scores) const {
    const float least = p_.has_confidence_threshold() ? p_.confidence_threshold()
                                                      : -std::numeric_limits<float>::max();
    std::vector<Detection> found;
    std::vector<Box> boxes(static_cast<std::size_t>(P_));
    std::vector<float> of_class(static_cast<std::size_t>(P_));
    for (Index c = 0; c < C_; ++c) {
      if (c == p_.background_label_id()) continue;
      for (Index i = 0; i < P_; ++i) {
        const auto at = static_cast<std::size_t>(i);
        of_class[at] = scores[i * C_ + c];
        // Boxes whose score is too low need not be decoded.
        if (of_class[at] > least)
          boxes[at] = code_.decode(box_at(priors.boxes, i), box_at(priors.variances, i),
                                   box_at(offsets, box_classes_ == 1 ? i : i * C_ + c));
      }
      for (const Index i : suppress(p_.nms_param(), boxes, of_class, least)) {
        const auto at = static_cast<std::size_t>(i);
        found.push_back({image, c, of_class[at], boxes[at]});
      }
    }
    return found;
  }

  /// Keeps the keep_top_k best, by label and score.
  void keep_best(std::vector<Detection>& found) const {
    if (p_.keep_top_k() < 0 || static_cast<Index>(found.size()) <= p_.keep_top_k()) return;
    std::stable_sort(found.begin(), found.end(),
                     [](const Detection& a, const Detection& b) { return a.score > b.score; });
    found.resize(static_cast<std::size_t>(p_.keep_top_k()));
    std::stable_sort(found.begin(), found.end(),
                     [](const Detection& a, const Detection& b) { return a.label < b.label; });
  }

  DetectionOutputParameter p_;
  BoxCode code_;
  Index N_ = 0, P_ = 0, C_ = 0, box_classes_ = 1;
};

DOPPIO_REGISTER_LAYER("DetectionOutput", DetectionOutput, .bottoms = exactly(3),
                      .no_grad_bottoms = 0b111, .backward_reads_bottom = false,
                      .backward_reads_top = false);

}  // namespace
}  // namespace doppio
