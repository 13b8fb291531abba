#include <cmath>
#include <limits>

#include "core/at.hpp"
#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/detection/boxes.hpp"
#include "layers/support/sizes.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

/// Returns boxes around the first pixel of the map, for each ratio in all scales. As in every Box,
/// xmax and ymax are exclusive: one more than in the regions.
std::vector<Box> make_anchors(float base, const std::vector<float>& ratios,
                              const std::vector<float>& scales) {
  std::vector<Box> anchors;
  const float centre = (base - 1) / 2;
  for (const float ratio : ratios) {
    const float width = std::nearbyint(base / std::sqrt(ratio));
    const float height = std::nearbyint(width * ratio);
    for (const float scale : scales) {
      const float x = (width * scale - 1) / 2, y = (height * scale - 1) / 2;
      anchors.push_back({centre - x, centre - y, centre + x + 1, centre + y + 1});
    }
  }
  return anchors;
}

/// Regions of a region proposal network that may contain objects, computed on the host.
///
/// Bottoms: scores N x 2A x H x W, offsets N x 4A x H x W, and N rows of at least height, width and
/// scale of the image (or one for all). Tops: regions R x 5 (image, x1, y1, x2, y2, in pixels,
/// inclusive), optionally their scores R. Anchors are moved by their offsets, clipped to the image,
/// and dropped if smaller than min_size times the scale; the pre_nms_topn best undergo non-maximum
/// suppression, and the post_nms_topn best that remain are an image's regions. No gradient.
/// Throws: Error if the bottoms' sizes do not fit each other or the anchors, or a parameter is not
/// positive.
/// Source: Ren et al. (2015), Faster R-CNN, and its Python layer.
class Proposal final : public Layer {
 public:
  explicit Proposal(const LayerParameter& layer) : p_(layer.proposal_param()) {
    const auto positive = [](bool is, const char* field) {
      require_field(is, str("proposal_param.", field), field, " must be positive");
    };
    require_size(p_.feat_stride(), "proposal_param.feat_stride", 1);
    require_size(p_.base_size(), "proposal_param.base_size", 1);
    positive(p_.pre_nms_topn() > 0, "pre_nms_topn");
    positive(p_.post_nms_topn() > 0, "post_nms_topn");
    std::vector<float> ratios(p_.ratio().begin(), p_.ratio().end());
    std::vector<float> scales(p_.scale().begin(), p_.scale().end());
    if (ratios.empty()) ratios = {0.5f, 1, 2};
    if (scales.empty()) scales = {8, 16, 32};
    for (const float r : ratios) positive(r > 0, "ratio");
    for (const float s : scales) positive(s > 0, "scale");
    anchors_ = make_anchors(static_cast<float>(p_.base_size()), ratios, scales);
    nms_.set_nms_threshold(p_.nms_thresh());
    nms_.set_top_k(static_cast<int>(std::min<Index>(p_.pre_nms_topn(), 1 << 30)));
  }

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const Shape &scores = bottom[0]->shape(), &offsets = bottom[1]->shape();
    const Index A = static_cast<Index>(anchors_.size());
    require(scores.axes() == 4 && scores[1] == 2 * A, "bottom 0 must hold scores, N x ", 2 * A,
            " x H x W for ", A, " anchors (ratios times scales), it is ", scores.text());
    require(offsets == Shape({scores[0], 4 * A, scores[2], scores[3]}),
            "bottom 1 must hold 4 offsets for each of ", A, " anchors, it is ", offsets.text());
    const Shape& images = bottom[2]->shape();
    N_ = scores[0];
    rows_ = images.dim_or_1(0);
    require((rows_ == N_ || rows_ == 1) && images.count() >= 3 * rows_,
            "bottom 2 must hold height,", " width and scale of each of ", N_, " images, it is ",
            images.text());
    const Index most = std::min<Index>(p_.post_nms_topn(), A * scores[2] * scores[3]);
    size_tops(top, N_ * most);  // until their number is known
  }

  void forward(Context&, Bottoms bottom, Tops top) override {
    std::vector<float> regions, scores;
    for (Index n = 0; n < N_; ++n) propose(bottom, n, regions, scores);
    size_tops(top, static_cast<Index>(scores.size()));
    std::copy(regions.begin(), regions.end(), top[0]->data.write_host());
    if (top.size() == 2) std::copy(scores.begin(), scores.end(), top[1]->data.write_host());
  }

 private:
  static void size_tops(Tops top, Index regions) {
    top[0]->reshape({regions, 5});
    if (top.size() == 2) top[1]->reshape({regions});
  }

  /// Appends the regions of image n and their scores.
  void propose(Bottoms bottom, Index n, std::vector<float>& regions,
               std::vector<float>& region_scores) const {
    const Shape& shape = bottom[0]->shape();
    const Index A = static_cast<Index>(anchors_.size()), W = shape[3], plane = shape[2] * W;
    const float* score = bottom[0]->data.read_host() + (2 * n + 1) * A * plane;
    const float* offsets = bottom[1]->data.read_host() + n * 4 * A * plane;
    const float* image =
        bottom[2]->data.read_host() + (rows_ == 1 ? 0 : n * (bottom[2]->count() / rows_));
    const float least = static_cast<float>(p_.min_size()) * image[2];
    constexpr float kNever = -std::numeric_limits<float>::infinity();
    std::vector<Box> boxes;
    std::vector<float> scores;
    for (Index s = 0; s < plane; ++s)  // pixel by pixel: the first of equal scores wins
      for (Index a = 0; a < A; ++a) {
        const Box anchor = at_pixel(at(anchors_, a), s % W, s / W);
        const float* d = offsets + 4 * a * plane + s;
        const Box box = moved(anchor, {d[0], d[plane], d[2 * plane], d[3 * plane]}, image);
        boxes.push_back(box);
        const bool large = box.width() >= least && box.height() >= least;
        scores.push_back(large ? score[a * plane + s] : kNever);
      }
    std::vector<Index> best = suppress(nms_, boxes, scores, -std::numeric_limits<float>::max());
    best.resize(std::min<std::size_t>(best.size(), p_.post_nms_topn()));
    for (const Index i : best) {
      const Box& b = at(boxes, i);
      for (const float v : {static_cast<float>(n), b.xmin, b.ymin, b.xmax - 1, b.ymax - 1})
        regions.push_back(v);
      region_scores.push_back(at(scores, i));
    }
  }

  Box at_pixel(const Box& anchor, Index w, Index h) const {
    const auto x = static_cast<float>(w * p_.feat_stride()),
               y = static_cast<float>(h * p_.feat_stride());
    return {anchor.xmin + x, anchor.ymin + y, anchor.xmax + x, anchor.ymax + y};
  }

  /// Returns the anchor moved and resized, clipped to an image of height image[0] and width
  /// image[1].
  static Box moved(const Box& anchor, const Box& offsets, const float* image) {
    const float x = anchor.xmin + anchor.width() / 2 + offsets.xmin * anchor.width();
    const float y = anchor.ymin + anchor.height() / 2 + offsets.ymin * anchor.height();
    const float w = std::exp(offsets.xmax) * anchor.width();
    const float h = std::exp(offsets.ymax) * anchor.height();
    // The last pixel is half the size from the centre, as in the original, not one less.
    const auto within = [](float v, float size) { return std::max(0.0f, std::min(v, size - 1)); };
    return {within(x - w / 2, image[1]), within(y - h / 2, image[0]),
            within(x + w / 2, image[1]) + 1, within(y + h / 2, image[0]) + 1};
  }

  ProposalParameter p_;
  NonMaximumSuppressionParameter nms_;
  std::vector<Box> anchors_;
  Index N_ = 0, rows_ = 1;
};

DOPPIO_REGISTER_LAYER("Proposal", Proposal, .bottoms = exactly(3), .tops = {1, 2},
                      .no_grad_bottoms = 0b111, .backward_reads_bottom = false,
                      .backward_reads_top = false);

}  // namespace
}  // namespace doppio
