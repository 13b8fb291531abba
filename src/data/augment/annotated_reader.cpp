#include "data/augment/annotated_reader.hpp"

#include <cmath>
#include <limits>
#include <opencv2/core.hpp>

#include "doppio.pb.h"
#include "doppio/error.hpp"
#include "io/input_file.hpp"
#include "io/text_format.hpp"

namespace doppio {

namespace {

/// Returns the pixels as H x W x channels, as a view if they are stored that way.
cv::Mat pixels_of(const Image& image) {
  require(image.bytes != nullptr, "the record holds floats; images with boxes must have bytes");
  require(image.channels == 1 || image.channels == 3, "the image has ", image.channels,
          " channels; images with boxes must have 1 or 3 (force_color and force_gray help where "
          "records hold image files)");
  const auto H = static_cast<int>(image.height), W = static_cast<int>(image.width);
  const auto plane = [&](Index channel, int type) {
    return cv::Mat(H, W, type,
                   const_cast<std::uint8_t*>(image.bytes + channel * image.channel_step),
                   static_cast<std::size_t>(image.row_step));
  };
  if (image.pixel_step == image.channels) return plane(0, CV_8UC(static_cast<int>(image.channels)));
  cv::Mat pixels;
  cv::merge(std::vector<cv::Mat>{plane(0, CV_8U), plane(1, CV_8U), plane(2, CV_8U)}, pixels);
  return pixels;
}

class AnnotatedReader final : public ImageReader {
 public:
  explicit AnnotatedReader(const AnnotatedOptions& options)
      : options_(options), datum_(options.decode.color, options.decode.min_side) {}

  Image read(const SourceItem& item, const Random& draws) override {
    const std::string_view record = item.record.value;
    require(record.size() <= static_cast<std::size_t>(std::numeric_limits<int>::max()) &&
                record_.ParseFromArray(record.data(), static_cast<int>(record.size())) &&
                record_.has_datum(),
            "the record is damaged or holds no boxes: it is not an AnnotatedDatum");
    require(record_.has_type() || options_.boxes_assumed || record_.annotation_group_size() > 0,
            "the record has a label, but no boxes; annotated_data_param { anno_type: BBOX } reads "
            "such images as images without objects");
    read_objects();
    pixels_ = pixels_of(datum_.read(record_.datum()));
    options_.augmenter->apply(pixels_, objects_, draws);
    Image image = view_of(pixels_, record_.datum().label());
    image.objects = &objects_;
    return image;
  }

 private:
  void read_objects() {
    objects_.clear();
    for (const AnnotationGroup& group : record_.annotation_group()) {
      const int label = group.group_label();
      require(label >= 0, "label ", label, " is negative");
      require(options_.labels.empty() || options_.labels.count(label) > 0, "label ", label,
              " is not in the label_map_file");
      for (const Annotation& a : group.annotation()) add(label, a);
    }
  }

  void add(int label, const Annotation& a) {
    const NormalizedBBox& b = a.bbox();
    const Box box{b.xmin(), b.ymin(), b.xmax(), b.ymax()};
    const auto check = [&](bool ok, const char* problem) {
      require(ok, "box (", box.xmin, ", ", box.ymin, ", ", box.xmax, ", ", box.ymax, ") of label ",
              label, problem);
    };
    for (const float v : {box.xmin, box.ymin, box.xmax, box.ymax})
      check(std::isfinite(v), " has a coordinate that is not a number");
    check(box.xmin <= box.xmax && box.ymin <= box.ymax,
          " is inverted; it must be (xmin, ymin, xmax, ymax)");
    objects_.push_back({label, a.instance_id(), box, b.difficult()});
  }

  AnnotatedOptions options_;
  DatumReader datum_;
  AnnotatedDatum record_;
  cv::Mat pixels_;
  std::vector<ImageObject> objects_;
};

}  // namespace

std::unique_ptr<ImageReader> make_annotated_reader(const AnnotatedOptions& options) {
  return std::make_unique<AnnotatedReader>(options);
}

std::set<int> read_label_map(const std::string& path) {
  TextAdvice advice;
  LabelMap map;
  parse_text_format(read_text_file(path), path, map, advice);
  require(map.item_size() > 0, path, " has no labels; expected a LabelMap");
  std::set<int> labels;
  for (const LabelMapItem& item : map.item()) labels.insert(item.label());
  return labels;
}

}  // namespace doppio
