#include <cmath>
#include <map>
#include <utility>

#include "core/item_error.hpp"
#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/detection/boxes.hpp"
#include "layers/support/sizes.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

/// Decides which detections are right, on the host; Solver computes average precisions from this.
///
/// Bottoms: detections 1 x 1 x D x 7, rows (image, label, score, xmin, ymin, xmax, ymax); objects
/// 1 x 1 x G x 8, rows (image, label, instance, xmin, ymin, xmax, ymax, difficult). Top: 1 x 1 x R
/// x 5: per class except the background, a row (-1, class, number of objects, -1, -1), then per
/// detection, by image, class and score, a row (image, class, score, right, wrong). A detection is
/// right if the object of its class that it overlaps most, by overlap_threshold at least, was not
/// found by one of a higher score. Without evaluate_difficult_gt, difficult objects do not count,
/// and detections of one are neither right nor wrong. No gradient.
/// Throws: Error for labels out of range. Source: matches SSD's Caffe.
class DetectionEvaluate final : public Layer {
 public:
  explicit DetectionEvaluate(const LayerParameter& layer) : p_(layer.detection_evaluate_param()) {
    const std::string name = "detection_evaluate_param";
    require_field(p_.num_classes() > 0, name, "num_classes is missing");
    require_size(p_.num_classes(), name + ".num_classes");
    require_field(p_.overlap_threshold() > 0, name + ".overlap_threshold",
                  "overlap_threshold must be above 0, it is ", p_.overlap_threshold());
    require_field(!p_.has_name_size_file(), name + ".name_size_file",
                  "name_size_file is not supported: boxes are compared in fractions of the image");
    require_field(!p_.has_resize_param(), name + ".resize_param",
                  "resize_param is not supported: boxes are compared in fractions of the image");
  }

  void reshape(Context&, Bottoms bottom, Tops top) override {
    const auto rows_of = [](const Shape& shape, Index length) {
      return shape.axes() > 0 && shape[shape.axes() - 1] == length;
    };
    require(rows_of(bottom[0]->shape(), kDetection),
            "bottom 0 must hold detections, 1 x 1 x D x 7, it is ", bottom[0]->shape().text());
    require(rows_of(bottom[1]->shape(), kObject),
            "bottom 1 must hold objects, 1 x 1 x G x 8, it is ", bottom[1]->shape().text());
    top[0]->reshape({1, 1, 1, 5});  // until the number of detections is known
  }

  void forward(Context&, Bottoms bottom, Tops top) override {
    std::map<Key, std::vector<Object>> objects = read_objects(bottom[1]->data);
    std::map<Index, Index> counts;
    for (Index c = 0; c < Index{p_.num_classes()}; ++c)
      if (c != Index{p_.background_label_id()}) counts[c] = 0;
    for (const auto& [key, group] : objects)
      for (const Object& o : group) counts[key.second] += counts_at_all(o);

    std::vector<float> rows;
    for (const auto& [label, count] : counts)
      rows.insert(rows.end(), {-1, static_cast<float>(label), static_cast<float>(count), -1, -1});
    for (const Detection& d : read_detections(bottom[0]->data)) {
      const auto [right, wrong] = judge(d, objects[d.key]);
      rows.insert(rows.end(), {static_cast<float>(d.key.first), static_cast<float>(d.key.second),
                               d.score, right ? 1.0f : 0.0f, wrong ? 1.0f : 0.0f});
    }
    top[0]->reshape({1, 1, static_cast<Index>(rows.size()) / 5, 5});
    std::copy(rows.begin(), rows.end(), top[0]->data.write_host());
  }

 private:
  static constexpr Index kDetection = 7, kObject = 8;
  using Key = std::pair<Index, Index>;  // image and label
  struct Object {
    Box box;
    bool difficult, found = false;
  };
  struct Detection {
    Key key;
    float score;
    Box box;
  };

  bool counts_at_all(const Object& o) const { return p_.evaluate_difficult_gt() || !o.difficult; }

  Key key(const float* row, const char* what, Index number) const {
    require(row[0] >= 0 && row[0] < 1e9f, what, " ", number, " has no image: ", row[0]);
    const auto image = static_cast<Index>(row[0]);
    const bool in_range = row[1] >= 0 && row[1] < static_cast<float>(p_.num_classes());
    if (!in_range || static_cast<Index>(row[1]) == Index{p_.background_label_id()})
      throw ItemError(str("label ", row[1], " of ", what, " ", number, " is not one of ",
                          p_.num_classes(), " classes, or the background"),
                      image);
    return {image, static_cast<Index>(row[1])};
  }

  std::map<Key, std::vector<Object>> read_objects(const Tensor& rows) const {
    std::map<Key, std::vector<Object>> objects;
    const float* row = rows.read_host();
    for (Index r = 0; r < rows.count() / kObject; ++r, row += kObject)
      if (row[0] != -1) objects[key(row, "object", r)].push_back({box_at(row + 3, 0), row[7] != 0});
    return objects;
  }

  std::vector<Detection> read_detections(const Tensor& rows) const {
    std::vector<Detection> detections;
    const float* row = rows.read_host();
    for (Index r = 0; r < rows.count() / kDetection; ++r, row += kDetection)
      if (row[1] != -1) {
        require(!std::isnan(row[2]), "detection ", r, " has a score that is not a number");
        detections.push_back({key(row, "detection", r), row[2], box_at(row + 3, 0)});
      }
    std::stable_sort(detections.begin(), detections.end(),
                     [](const Detection& a, const Detection& b) {
      return a.key != b.key ? a.key < b.key : a.score > b.score;
    });
    return detections;
  }

  /// Returns whether the detection is right, and whether it is wrong.
  std::pair<bool, bool> judge(const Detection& d, std::vector<Object>& objects) const {
    Object* best = nullptr;
    float most = -1;
    for (Object& o : objects) {
      const float common = overlap(d.box, o.box);
      if (common <= most) continue;
      most = common;
      best = &o;
    }
    if (!best || most < p_.overlap_threshold()) return {false, true};
    if (!counts_at_all(*best)) return {false, false};
    const bool again = std::exchange(best->found, true);
    return {!again, again};
  }

  const DetectionEvaluateParameter p_;
};

DOPPIO_REGISTER_LAYER("DetectionEvaluate", DetectionEvaluate, .bottoms = exactly(2),
                      .no_grad_bottoms = 0b11, .backward_reads_bottom = false,
                      .backward_reads_top = false);

}  // namespace
}  // namespace doppio
