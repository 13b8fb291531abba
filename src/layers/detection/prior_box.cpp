#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/detection/boxes.hpp"
#include "layers/support/sizes.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

/// The boxes that a detector's predictions are relative to: a set around the centre of each cell of
/// a map.
///
/// Bottoms: the map N x C x H x W, and the image, which only gives its size. Top: 1 x 2 x (H * W *
/// P * 4), first xmin, ymin, xmax, ymax of each box in fractions of the image, then its variances.
/// Each min_size gives a square of it; with max_size, a square of sqrt(min_size max_size); for each
/// ratio a except 1, a box of min_size sqrt(a) x min_size / sqrt(a). Or there is one box per width
/// x height. No gradient.
/// Throws: Error for sizes, ratios, variances or steps that are missing or not positive.
/// Source: Liu et al. (2016); matches SSD's Caffe, which also truncates sizes to integers, but not
/// width and height: these are from Intel's nets, whose type is PriorBoxClustered.
class PriorBox final : public Layer {
 public:
  explicit PriorBox(const LayerParameter& layer) : p_(layer.prior_box_param()) {
    if (p_.width_size() > 0 || p_.height_size() > 0) {
      read_clusters();
    } else {
      read_sizes();
    }
    read_variances();
    read_image_and_steps();
    ratios_ = {1};
    for (const float a : p_.aspect_ratio()) {
      require_field(a > 0, "prior_box_param.aspect_ratio", "aspect_ratio must be positive, it is ",
                    a);
      if (is_new(a)) {
        ratios_.push_back(a);
        if (p_.flip()) ratios_.push_back(1 / a);
      }
    }
  }

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const Shape& map = bottom[0]->shape();
    const Shape& image = bottom[1]->shape();
    require(map.axes() == 4 && image.axes() == 4, "the map and the image must be N x C x H x W, ",
            "they are ", map.text(), " and ", image.text());
    const auto priors = static_cast<Index>(sizes_at_a_cell().size());
    const Shape boxes = checked_shape({2, map[2], map[3], priors, 4}, "prior_box_param");
    top[0]->reshape({1, 2, boxes.count_from(1)});
  }

  void forward(Context&, Bottoms bottom, Tops top) override {
    const Shape& map = bottom[0]->shape();
    const Shape& image = bottom[1]->shape();
    const auto given = [&](bool has, Index own) { return has ? own : Index{p_.img_size()}; };
    Index height = given(p_.has_img_h(), p_.img_h()), width = given(p_.has_img_w(), p_.img_w());
    if (height == 0 || width == 0) height = image[2], width = image[3];
    const auto img_h = static_cast<float>(height), img_w = static_cast<float>(width);
    float step_h = p_.has_step() ? p_.step() : p_.step_h();
    float step_w = p_.has_step() ? p_.step() : p_.step_w();
    if (step_h == 0 || step_w == 0) {
      step_h = img_h / static_cast<float>(map[2]);
      step_w = img_w / static_cast<float>(map[3]);
    }
    const std::vector<Size> sizes = sizes_at_a_cell();
    float* out = top[0]->data.write_host();
    float* variances = out + top[0]->count() / 2;
    for (Index h = 0; h < map[2]; ++h)
      for (Index w = 0; w < map[3]; ++w) {
        const float x = (static_cast<float>(w) + p_.offset()) * step_w;
        const float y = (static_cast<float>(h) + p_.offset()) * step_h;
        for (const Size& s : sizes) {
          for (const float edge : {(x - s.w / 2) / img_w, (y - s.h / 2) / img_h,
                                   (x + s.w / 2) / img_w, (y + s.h / 2) / img_h})
            *out++ = p_.clip() ? std::clamp(edge, 0.0f, 1.0f) : edge;
          variances = std::copy(variances_, variances_ + 4, variances);
        }
      }
  }

 private:
  struct Size {
    float w, h;
  };

  void read_sizes() const {
    require_field(p_.min_size_size() > 0, "prior_box_param", "min_size is missing");
    for (const float size : p_.min_size())
      require_field(size >= 1 && size < 1e6f, "prior_box_param.min_size",
                    "min_size must be at least 1 pixel, it is ", size);
    require_field(p_.max_size_size() == 0 || p_.max_size_size() == p_.min_size_size(),
                  "prior_box_param.max_size", "give one max_size for each of the ",
                  p_.min_size_size(), " min_size, or none");
    for (int i = 0; i < p_.max_size_size(); ++i)
      require_field(p_.max_size(i) > p_.min_size(i) && p_.max_size(i) < 1e6f,
                    "prior_box_param.max_size", "max_size ", p_.max_size(i),
                    " must be greater than its min_size, which is ", p_.min_size(i));
  }

  void read_clusters() const {
    require_field(p_.width_size() == p_.height_size(), "prior_box_param",
                  "width and height must be given in pairs; there are ", p_.width_size(), " and ",
                  p_.height_size());
    require_field(p_.min_size_size() == 0 && p_.max_size_size() == 0 && p_.aspect_ratio_size() == 0,
                  "prior_box_param",
                  "give either width and height or min_size, with its max_size and aspect_ratio");
    for (const auto* sizes : {&p_.width(), &p_.height()})
      for (const float size : *sizes)
        require_field(size > 0 && size < 1e6f, "prior_box_param",
                      "width and height must be positive, not ", size);
  }

  void read_image_and_steps() const {
    require_field(!p_.has_img_size() || !(p_.has_img_h() || p_.has_img_w()),
                  "prior_box_param.img_size", "give either img_size or img_h and img_w");
    require_field(p_.has_img_h() == p_.has_img_w(), "prior_box_param",
                  "img_h and img_w must be given together");
    const auto positive = [](bool has, double value, const char* field) {
      require_field(!has || value > 0, str("prior_box_param.", field), field,
                    " must be positive, it is ", value);
    };
    positive(p_.has_img_size(), p_.img_size(), "img_size");
    positive(p_.has_img_h(), p_.img_h(), "img_h");
    positive(p_.has_img_w(), p_.img_w(), "img_w");
    require_field(!p_.has_step() || !(p_.has_step_h() || p_.has_step_w()), "prior_box_param.step",
                  "give either step or step_h and step_w");
    require_field(p_.has_step_h() == p_.has_step_w(), "prior_box_param",
                  "step_h and step_w must be given together");
    positive(p_.has_step(), p_.step(), "step");
    positive(p_.has_step_h(), p_.step_h(), "step_h");
    positive(p_.has_step_w(), p_.step_w(), "step_w");
  }

  void read_variances() {
    const int n = p_.variance_size();
    require_field(n == 0 || n == 1 || n == 4, "prior_box_param.variance",
                  "variance is given once or four times, not ", n, " times");
    for (int i = 0; i < 4; ++i) {
      variances_[i] = n == 0 ? 0.1f : p_.variance(n == 1 ? 0 : i);
      require_field(variances_[i] > 0, "prior_box_param.variance",
                    "variance must be positive, it is ", variances_[i]);
    }
  }

  bool is_new(float ratio) const {
    return std::none_of(ratios_.begin(), ratios_.end(),
                        [&](float a) { return std::abs(a - ratio) < 1e-6f; });
  }

  std::vector<Size> sizes_at_a_cell() const {
    std::vector<Size> sizes;
    for (int i = 0; i < p_.width_size(); ++i) sizes.push_back({p_.width(i), p_.height(i)});
    for (int i = 0; i < p_.min_size_size(); ++i) {
      const float min = std::trunc(p_.min_size(i));
      sizes.push_back({min, min});
      if (p_.max_size_size() > 0) {
        const float size = std::sqrt(min * std::trunc(p_.max_size(i)));
        sizes.push_back({size, size});
      }
      for (std::size_t a = 1; a < ratios_.size(); ++a)
        sizes.push_back({min * std::sqrt(ratios_[a]), min / std::sqrt(ratios_[a])});
    }
    return sizes;
  }

  PriorBoxParameter p_;
  std::vector<float> ratios_;  // the first is 1
  float variances_[4];
};

using PriorBoxClustered = PriorBox;

DOPPIO_REGISTER_LAYER("PriorBoxClustered", PriorBoxClustered, .bottoms = exactly(2),
                      .no_grad_bottoms = 0b11, .backward_reads_bottom = false,
                      .backward_reads_top = false);
DOPPIO_REGISTER_LAYER("PriorBox", PriorBox, .bottoms = exactly(2), .no_grad_bottoms = 0b11,
                      .backward_reads_bottom = false, .backward_reads_top = false);

}  // namespace
}  // namespace doppio
