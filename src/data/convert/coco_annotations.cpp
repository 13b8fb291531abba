#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>

#include "core/printable.hpp"
#include "data/convert/annotation_set.hpp"
#include "doppio/error.hpp"
#include "io/input_file.hpp"

namespace doppio {

namespace {

using nlohmann::json;
using Event = json::parse_event_t;

/// An annotation whose ids are not resolved yet.
struct CocoBox {
  std::string name;  // "annotations[0]", for messages
  std::string image, category;
  PixelBox box;
  bool crowd = false;
  std::string damage;
};

/// Returns the member `key` of `object`, or null.
const json* find(const json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

/// Returns the id in the member `key`: an integer or a string.
std::string id_of(const json& object, const char* key, const std::string& name) {
  const json* id = find(object, key);
  const bool is_id = id && (id->is_number_integer() || id->is_string());
  require(is_id, name, " has no ", key, ", expected an integer");
  return id->is_string() ? id->get<std::string>() : id->dump();
}

std::string text_of(const json& object, const char* key, const std::string& name) {
  const json* text = find(object, key);
  require(text && text->is_string() && !text->get_ref<const std::string&>().empty(), name,
          " has no ", key);
  return text->get<std::string>();
}

Index stated_side(const json& object, const char* key, const std::string& name) {
  const json* side = find(object, key);
  if (!side || side->is_null()) return 0;
  require(side->is_number(), name, ": ", key, " is not a number");
  return side_of(side->get<double>(), name + ": " + key);
}

/// Converts COCO's (x, y, width, height). Throws: Error about the box.
PixelBox box_of(const json& annotation, const std::string& name) {
  const json* bbox = find(annotation, "bbox");
  require(bbox && bbox->is_array(), name, " has no bbox; add one or remove the annotation");
  const bool numbers =
      std::all_of(bbox->begin(), bbox->end(), [](const json& v) { return v.is_number(); });
  require(bbox->size() == 4 && numbers, name, ": bbox must be [x, y, width, height]");
  std::array<float, 4> v{};
  for (std::size_t i = 0; i < 4; ++i) v[i] = pixel_of((*bbox)[i].get<double>(), name + ": bbox");
  require(v[2] >= 0 && v[3] >= 0, name, ": bbox has the negative size ", v[2], " x ", v[3],
          "; it must be [x, y, width, height]");
  PixelBox box;
  box.xmin = v[0];
  box.ymin = v[1];
  box.xmax = v[0] + v[2];
  box.ymax = v[1] + v[3];
  return box;
}

bool is_crowd(const json& annotation) {
  const json* crowd = find(annotation, "iscrowd");
  if (!crowd) return false;
  return crowd->is_boolean() ? crowd->get<bool>() : crowd->is_number() && crowd->get<double>() != 0;
}

/// Collects the elements of the three lists while a file is parsed, and discards each element once
/// it is converted, so that only small parts of the file are in memory as JSON values.
class CocoParser {
 public:
  /// Callback of nlohmann::json. Returns whether to keep the value.
  bool on_event(int depth, Event event, const json& value) {
    constexpr int kMaxDepth = 100;
    require(depth <= kMaxDepth, "values are nested more than ", kMaxDepth,
            " deep: this is no COCO file");
    switch (depth) {
      case 0:
        require(event == Event::object_start || event == Event::object_end,
                "expected an object with images, annotations and categories, as in COCO's "
                "instances_*.json");
        return true;
      case 1:
        if (event == Event::key) return begin_section(value.get_ref<const std::string&>());
        require(list_ == nullptr || event == Event::array_start || event == Event::array_end,
                section_, " is not a list");
        return true;
      case 2:
        if (list_ == nullptr) return true;
        require(event == Event::object_start || event == Event::object_end, section_, "[", count_,
                "] is not an object");
        if (event == Event::object_start) return true;
        (this->*list_)(value, str(section_, "[", count_, "]"));
        ++count_;
        return false;
      default:
        return event != Event::key || depth > 3 || is_read(value);
    }
  }

  AnnotationSet finish(CrowdBoxes crowds) {
    for (const char* needed : {"images", "annotations", "categories"})
      require(seen_[needed], "the file has no '", needed,
              "'; expected images, annotations and categories, as in COCO's instances_*.json");
    require(!set_.images.empty(), "the file has no images");
    sort_categories();
    for (const CocoBox& b : boxes_) add(b, crowds);
    return std::move(set_);
  }

 private:
  using TakeElement = void (CocoParser::*)(const json&, const std::string& name);

  bool begin_section(const std::string& key) {
    static const std::map<std::string, TakeElement> kSections = {
        {"images", &CocoParser::take_image},
        {"annotations", &CocoParser::take_annotation},
        {"categories", &CocoParser::take_category}};
    const auto found = kSections.find(key);
    list_ = found == kSections.end() ? nullptr : found->second;
    if (list_ == nullptr) return false;
    section_ = key;
    count_ = 0;
    require(!seen_[key], "the file has '", key, "' twice");
    return seen_[key] = true;
  }

  /// Returns whether the member `key` of an element is needed. Outlines, which are most of a file,
  /// are not.
  static bool is_read(const json& key) {
    constexpr std::array<std::string_view, 9> kKeys = {
        "id", "file_name", "width", "height", "image_id", "name", "bbox", "category_id", "iscrowd"};
    return std::find(kKeys.begin(), kKeys.end(), key.get_ref<const std::string&>()) != kKeys.end();
  }

  void take_image(const json& element, const std::string& name) {
    AnnotatedImage image;
    image.path = text_of(element, "file_name", name);
    require(image.path.find('\0') == std::string::npos, name, ": file_name holds a NUL character");
    image.width = stated_side(element, "width", name);
    image.height = stated_side(element, "height", name);
    const std::string id = id_of(element, "id", name);
    const auto [place, is_new] = image_at_.emplace(id, set_.images.size());
    if (!is_new)
      throw Error(str(name, ": the id ", printable(id), " of '", printable(image.path),
                      "' is that of '", printable(set_.images[place->second].path),
                      "' already; give each image an id of its own"));
    set_.images.push_back(std::move(image));
  }

  void take_annotation(const json& element, const std::string& name) {
    CocoBox taken;
    taken.name = name;
    taken.image = id_of(element, "image_id", name);
    taken.category = id_of(element, "category_id", name);
    taken.crowd = is_crowd(element);
    try {
      taken.box = box_of(element, name);
    } catch (const Error& e) {
      taken.damage = e.message();
    }
    boxes_.push_back(std::move(taken));
  }

  void take_category(const json& element, const std::string& name) {
    set_.categories.push_back({text_of(element, "name", name), id_of(element, "id", name)});
  }

  /// Sorts the categories by id: integers as numbers, which are sorted by length and digits.
  void sort_categories() {
    std::sort(set_.categories.begin(), set_.categories.end(), [](const auto& a, const auto& b) {
      return std::pair(a.id.size(), a.id) < std::pair(b.id.size(), b.id);
    });
    for (std::size_t i = 0; i < set_.categories.size(); ++i) {
      const std::string& id = set_.categories[i].id;
      const bool is_new = category_at_.emplace(id, static_cast<int>(i)).second;
      if (!is_new)
        throw Error(str("two categories have the id ", printable(id), ": '",
                        printable(set_.categories[i - 1].name), "' and '",
                        printable(set_.categories[i].name), "'"));
    }
  }

  void add(const CocoBox& b, CrowdBoxes crowds) {
    const auto image = image_at_.find(b.image);
    require(image != image_at_.end(), b.name, ": there is no image with the id ",
            printable(b.image), "; add it to images or remove the annotation");
    const auto category = category_at_.find(b.category);
    require(category != category_at_.end(), b.name, ": there is no category with the id ",
            printable(b.category), "; add it to categories or remove the annotation");
    if (b.crowd && crowds == CrowdBoxes::skip) return;
    AnnotatedImage& to = set_.images[image->second];
    if (to.damage.empty()) to.damage = b.damage;
    to.boxes.push_back(b.box);
    to.boxes.back().category = category->second;
    to.boxes.back().difficult = b.crowd;
  }

  AnnotationSet set_;
  std::vector<CocoBox> boxes_;
  std::map<std::string, std::size_t> image_at_;
  std::map<std::string, int> category_at_;
  std::map<std::string, bool> seen_;
  TakeElement list_ = nullptr;  // of the current section; null: the section is ignored
  std::string section_;
  Index count_ = 0;  // elements of the section so far
};

/// Returns an Error for one of the parser's, which contains positions and its own prefixes.
Error malformed(const json::parse_error& e, const std::string& text, const std::string& file) {
  const std::string_view before = std::string_view(text).substr(0, std::min(e.byte, text.size()));
  const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  std::string message = e.what();
  if (const std::size_t at = message.find(": "); at != message.npos) message.erase(0, at + 2);
  return Error("malformed JSON: " + printable(message),
               {file, 1 + static_cast<int>(std::count(before.begin(), before.end(), '\n')),
                static_cast<int>(std::max<std::size_t>(1, before.size() - line_start))});
}

}  // namespace

AnnotationSet read_coco_annotations(const std::string& file, CrowdBoxes crowds) {
  const std::string text = read_text_file(file);
  try {
    CocoParser parser;
    const auto on_event = [&](int depth, Event event, const json& value) {
      return parser.on_event(depth, event, value);
    };
    const json rest = json::parse(text, on_event);  // elements are taken as they are parsed
    return parser.finish(crowds);
  } catch (const json::parse_error& e) {
    throw malformed(e, text, file);
  } catch (const json::exception& e) {
    throw Error(str("malformed JSON: ", printable(e.what())), {file});
  } catch (const Error& e) {
    throw Error(e.message(), {file});
  }
}

}  // namespace doppio
