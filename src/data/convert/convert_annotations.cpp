#include "data/convert/convert_annotations.hpp"

#include <algorithm>
#include <cctype>
#include <map>
#include <utility>

#include "core/at.hpp"
#include "core/printable.hpp"
#include "data/convert/class_labels.hpp"
#include "data/storage/database.hpp"
#include "doppio.pb.h"
#include "doppio/error.hpp"

namespace doppio {

namespace {

/// A record of an image and what was noticed about its boxes.
struct AnnotatedRecord : ConvertedImage {
  std::vector<int> labels;  // of the boxes stored
  std::vector<std::string> outside, empty;
  std::string other_size;
};

/// What the records are made from.
struct Plan {
  AnnotationSet set;
  LabelMap map;
  std::vector<int> labels;  // of the categories
  std::string map_path;
  bool writes_map = false;
};

bool is_json(std::string path) {
  for (char& c : path) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return path.ends_with(".json");
}

std::string without_slash(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

Plan make_plan(const AnnotationsOptions& o) {
  require(o.label_map.empty() || o.write_label_map.empty(),
          "label_map is read and write_label_map is made: give one of them");
  Plan plan;
  plan.set = is_json(o.annotations) ? read_coco_annotations(o.annotations, o.crowds)
                                    : read_voc_annotations(o.root, o.annotations);
  plan.writes_map = o.label_map.empty();
  plan.map =
      plan.writes_map ? make_class_labels(plan.set.categories) : read_class_labels(o.label_map);
  plan.labels = labels_of(plan.set.categories, plan.map);
  if (!plan.writes_map)
    plan.map_path = o.label_map;
  else if (o.write_label_map.empty())
    plan.map_path = without_slash(o.database) + "_labelmap.prototxt";
  else
    plan.map_path = o.write_label_map;
  require(!plan.writes_map || !plan.map_path.starts_with(without_slash(o.database) + "/"),
          "the label map ", printable(plan.map_path),
          " would be a file within the database; give another name");
  return plan;
}

std::string text_of(const PixelBox& b) {
  return str("(", b.xmin, ", ", b.ymin, ", ", b.xmax, ", ", b.ymax, ")");
}

/// Makes the record of one image.
class RecordMaker {
 public:
  RecordMaker(const Plan& plan, const AnnotationsOptions& options, const AnnotatedImage& image)
      : plan_(plan), options_(options), image_(image), width_(image.width), height_(image.height) {}

  AnnotatedRecord make(Index place) {
    made_.key = record_key(image_.path, place);
    const std::string path = printable(options_.root + image_.path);
    try {
      require(image_.damage.empty(), image_.damage);
      record_.set_type(AnnotatedDatum::BBOX);
      Datum& datum = *record_.mutable_datum();
      datum.set_label(-1);  // as SSD's tool
      const StoredShapes shapes = store_image(options_, image_.path, datum);
      made_.shape = shapes.stored;
      compare_size(shapes.file[1], shapes.file[2], path);
      for (const PixelBox& box : image_.boxes) add(box, path);
      made_.value = record_.SerializeAsString();
    } catch (const Error& e) {
      made_.damage = path + ": " + e.message();
    }
    return std::move(made_);
  }

 private:
  /// Compares the size that the annotation states with that of the image, which replaces it if it
  /// states none.
  void compare_size(Index height, Index width, const std::string& path) {
    const bool stated = width_ > 0 && height_ > 0;
    if (!stated) {
      width_ = width;
      height_ = height;
    }
    if (width == width_ && height == height_) return;
    const std::string sizes = str("the annotation states ", width_, " x ", height_,
                                  " pixels and the image has ", width, " x ", height);
    require(width != height_ || height != width_, sizes,
            ": the boxes may belong to the image before it was rotated (by hand or by its Exif "
            "orientation); annotate the rotated image, or correct the size");
    made_.other_size = path + ": " + sizes;
  }

  void add(const PixelBox& box, const std::string& path) {
    const AnnotationCategory& category = at(plan_.set.categories, box.category);
    const int label = at(plan_.labels, box.category);
    require(label >= 0, "the class '", printable(category.name), "' is not in the label map ",
            printable(plan_.map_path), ": add it there, or remove its boxes",
            did_you_mean(category.name, names()));
    require(label > 0, "the class '", printable(category.name), "' has the label 0 in ",
            printable(plan_.map_path), ", which is the background's; number classes from 1");
    const auto W = static_cast<float>(width_), H = static_cast<float>(height_);
    const auto text = [&] {
      return str(path, ": box ", text_of(box), " of '", printable(category.name), "'");
    };
    if (box.xmin == box.xmax || box.ymin == box.ymax) {
      made_.empty.push_back(text());
      return;
    }
    require(box.xmin < W && box.ymin < H && box.xmax > 0 && box.ymax > 0, "the box ", text_of(box),
            " of '", printable(category.name), "' lies outside the image of ", width_, " x ",
            height_, " pixels; correct or remove it");
    if (box.xmin < 0 || box.ymin < 0 || box.xmax > W || box.ymax > H)
      made_.outside.push_back(text());
    AnnotationGroup& group = group_of(label);
    const int instance = group.annotation_size();
    Annotation& annotation = *group.add_annotation();
    annotation.set_instance_id(instance);
    NormalizedBBox& stored = *annotation.mutable_bbox();
    stored.set_xmin(box.xmin / W);
    stored.set_ymin(box.ymin / H);
    stored.set_xmax(box.xmax / W);
    stored.set_ymax(box.ymax / H);
    stored.set_difficult(box.difficult);
    made_.labels.push_back(label);
  }

  /// Returns the group of the objects with `label`. Groups are in the order of their first object.
  AnnotationGroup& group_of(int label) {
    for (AnnotationGroup& group : *record_.mutable_annotation_group())
      if (group.group_label() == label) return group;
    AnnotationGroup& group = *record_.add_annotation_group();
    group.set_group_label(label);
    return group;
  }

  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const LabelMapItem& item : plan_.map.item()) names.push_back(item.name());
    return names;
  }

  const Plan& plan_;
  const AnnotationsOptions& options_;
  const AnnotatedImage& image_;
  Index width_, height_;
  AnnotatedDatum record_;
  AnnotatedRecord made_;
};

void count(const std::vector<std::string>& found, Occurrences& all) {
  if (found.empty()) return;
  if (all.count == 0) all.first = found.front();
  all.count += static_cast<Index>(found.size());
}

/// Writes records in order. After a damaged image that is not skipped, only checks the rest.
class RecordSink {
 public:
  RecordSink(const Plan& plan, OnError on_error, DatabaseWriter& writer)
      : on_error_(on_error), writer_(writer) {
    result_.total = static_cast<Index>(plan.set.images.size());
    result_.label_map = plan.map_path;
    for (const LabelMapItem& item : plan.map.item())
      if (item.label() > 0) classes_.emplace(item.label(), ClassBoxes{item.name(), item.label()});
  }

  void take(const AnnotatedRecord& made) {
    if (!made.damage.empty()) {
      result_.damaged.push_back(made.damage);
      return;
    }
    if (on_error_ == OnError::fail && !result_.damaged.empty()) return;  // only check
    writer_.put(made.key, made.value);
    ++result_.written;
    result_.boxes += static_cast<Index>(made.labels.size());
    if (made.labels.empty()) ++result_.without_boxes;
    for (const int label : made.labels) ++classes_.at(label).boxes;
    count(made.outside, result_.outside);
    count(made.empty, result_.empty);
    if (!made.other_size.empty()) count({made.other_size}, result_.other_size);
  }

  /// Returns the result. Throws: Error if too many images are damaged.
  AnnotationsResult finish() {
    require(result_.damaged.empty() || on_error_ == OnError::skip, result_.damaged.size(), " of ",
            result_.total,
            " images or their annotations cannot be used; repair or remove them, or ask to skip "
            "them:",
            damage_list(result_.damaged));
    require(result_.written > 0, "none of ", result_.total,
            " images can be used with its annotation:", damage_list(result_.damaged));
    for (const auto& [label, boxes] : classes_) result_.classes.push_back(boxes);
    return std::move(result_);
  }

 private:
  const OnError on_error_;
  DatabaseWriter& writer_;
  std::map<int, ClassBoxes> classes_;  // by label
  AnnotationsResult result_;
};

}  // namespace

AnnotationsResult convert_annotations(const AnnotationsOptions& options) {
  check_options(options);
  const Backend backend = backend_of(options.backend);
  const Plan plan = make_plan(options);
  const auto total = static_cast<Index>(plan.set.images.size());
  const std::vector<Index> order = record_order(total, options);
  const auto writer = make_database(options.database, backend,
                                    options.overwrite ? IfThere::replace : IfThere::fail);
  try {
    if (plan.writes_map) check_class_labels(plan.map_path, plan.map, options.overwrite);
    RecordSink sink(plan, options.on_error, *writer);
    const auto make = [&](Index place) {
      return RecordMaker(plan, options, at(plan.set.images, at(order, place))).make(place);
    };
    convert_records<AnnotatedRecord>(0, total, options, make,
                                     [&](const AnnotatedRecord& made) { sink.take(made); });
    AnnotationsResult result = sink.finish();
    writer->finish();
    if (plan.writes_map) write_class_labels(plan.map_path, plan.map);
    return result;
  } catch (...) {
    writer->discard();
    throw;
  }
}

}  // namespace doppio
