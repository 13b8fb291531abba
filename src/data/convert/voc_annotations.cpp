#include <algorithm>
#include <charconv>
#include <map>
#include <pugixml.hpp>
#include <string_view>

#include "core/printable.hpp"
#include "data/convert/annotation_set.hpp"
#include "data/image/image_list.hpp"
#include "doppio/error.hpp"
#include "io/input_file.hpp"

namespace doppio {

namespace {

constexpr std::string_view kBlanks = " \t";
constexpr std::string_view kSpaces = " \t\r\n";

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kSpaces);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(kSpaces) - first + 1);
}

/// A line of the list.
struct ListedImage {
  std::string image, annotation;
};

ListedImage parse_line(std::string_view line) {
  const std::size_t blank = line.find_last_of(kBlanks);
  const std::size_t end = blank == line.npos ? line.npos : line.find_last_not_of(kBlanks, blank);
  require(end != line.npos, "no annotation; a line is \"IMAGE ANNOTATION.xml\"");
  const std::string_view image = line.substr(0, end + 1), annotation = line.substr(blank + 1);
  const bool number = annotation.find_first_not_of("+-0123456789") == annotation.npos;
  require(!number, "'", annotation,
          "' is no file of boxes; `doppio convert imageset` reads images with a label each");
  require(!annotation.ends_with(".json"), "'", printable(annotation),
          "' is a JSON file of one image; give a COCO file of all images instead of the list, or "
          "convert the annotations to XML");
  return {std::string(image), std::string(annotation)};
}

std::vector<ListedImage> read_list(const std::string& list) {
  constexpr int kManyProblems = 20;
  std::vector<ListedImage> images;
  Problems problems;
  int problem_count = 0;
  for (const TextLine& line : read_lines(list)) {
    try {
      images.push_back(parse_line(line.text));
    } catch (const Error& e) {
      problems.add(Error(e.message(), {list, line.number}));
      if (++problem_count == kManyProblems) break;
    }
  }
  problems.throw_if_any();
  require(!images.empty(), "the list ", printable(list), " is empty");
  return images;
}

/// An XML file and the positions in it.
class XmlFile {
 public:
  XmlFile(const std::string& root, const std::string& path)
      : name_(root + path), text_(read_listed_file(root, path)) {
    constexpr std::size_t kMaxBytes = 16 << 20;
    require(text_.size() <= kMaxBytes, printable(name_), " has ", text_.size(),
            " bytes, too many for the annotation of one image");
    // Neither external files nor entities of the document's own are read by pugixml.
    const pugi::xml_parse_result parsed = document_.load_buffer(text_.data(), text_.size());
    if (!parsed) fail(parsed.offset, str("malformed XML: ", parsed.description()));
  }

  pugi::xml_node root() const { return document_.document_element(); }

  /// Throws: Error at `node`, whose message consists of `parts`.
  template <class... Parts>
  void require_at(const pugi::xml_node& node, bool ok, const Parts&... parts) const {
    if (!ok) fail(node.offset_debug(), str(parts...));
  }

  /// Returns the number in the child `name` of `node`.
  double number(const pugi::xml_node& node, const char* name) const {
    const pugi::xml_node child = node.child(name);
    require_at(node, !child.empty(), "<", printable(node.name()), "> has no <", name, ">");
    const std::string_view text = trimmed(child.child_value());
    double value = 0;
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
    require_at(child, status == std::errc() && end == text.data() + text.size(), "<", name,
               "> is '", printable(text), "', expected a number");
    return value;
  }

  /// Returns number() as `convert(value, name)`, whose Error gets the position.
  template <class Convert>
  auto number(const pugi::xml_node& node, const char* name, Convert convert) const {
    const double value = number(node, name);
    try {
      return convert(value, str("<", name, ">"));
    } catch (const Error& e) {
      fail(node.child(name).offset_debug(), e.message());
    }
  }

 private:
  [[noreturn]] void fail(std::ptrdiff_t offset, const std::string& message) const {
    const auto end =
        std::min(static_cast<std::size_t>(std::max<std::ptrdiff_t>(offset, 0)), text_.size());
    const auto line =
        1 + std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(end), '\n');
    throw Error(message, {printable(name_), static_cast<int>(line)});
  }

  std::string name_, text_;
  pugi::xml_document document_;
};

/// Reads annotations and numbers the classes as they occur.
class VocReader {
 public:
  explicit VocReader(std::string root) : root_(std::move(root)) {}

  AnnotatedImage read(const ListedImage& listed) {
    AnnotatedImage image;
    image.path = listed.image;
    try {
      read_into(image, XmlFile(root_, listed.annotation));
    } catch (const Error& e) {
      image.boxes.clear();
      const std::string at = e.where().text();
      image.damage = at.empty() ? e.message() : at + ": " + e.message();
    }
    return image;
  }

  /// Sorts the classes by name. Returns them, and updates the boxes.
  std::vector<AnnotationCategory> sort_classes(std::vector<AnnotatedImage>& images) {
    std::vector<AnnotationCategory> sorted;
    std::vector<int> place(classes_.size());
    for (const auto& [name, category] : classes_) {
      place[static_cast<std::size_t>(category)] = static_cast<int>(sorted.size());
      sorted.push_back({name});
    }
    for (AnnotatedImage& image : images)
      for (PixelBox& box : image.boxes)
        box.category = place[static_cast<std::size_t>(box.category)];
    return sorted;
  }

 private:
  void read_into(AnnotatedImage& image, const XmlFile& xml) {
    const pugi::xml_node annotation = xml.root();
    xml.require_at(annotation, std::string_view(annotation.name()) == "annotation",
                   "the root element is <", printable(annotation.name()),
                   ">, expected <annotation> as in Pascal VOC");
    const pugi::xml_node size = annotation.child("size");
    if (size.child("width") && size.child("height")) {
      image.width = xml.number(size, "width", side_of);
      image.height = xml.number(size, "height", side_of);
    }
    for (const pugi::xml_node& object : annotation.children("object"))
      image.boxes.push_back(read_object(xml, object));
    for (std::size_t i = 0; const pugi::xml_node& object : annotation.children("object"))
      image.boxes[i++].category = category_of(trimmed(object.child("name").child_value()));
  }

  static PixelBox read_object(const XmlFile& xml, const pugi::xml_node& object) {
    const std::string name(trimmed(object.child("name").child_value()));
    xml.require_at(object, !name.empty(), "an object has no <name>");
    const pugi::xml_node bounds = object.child("bndbox");
    xml.require_at(object, !bounds.empty(), "the object '", printable(name),
                   "' has no <bndbox>; add one or remove the object");
    PixelBox box;
    box.xmin = xml.number(bounds, "xmin", pixel_of);
    box.ymin = xml.number(bounds, "ymin", pixel_of);
    box.xmax = xml.number(bounds, "xmax", pixel_of);
    box.ymax = xml.number(bounds, "ymax", pixel_of);
    xml.require_at(bounds, box.xmin <= box.xmax && box.ymin <= box.ymax, "the box of '",
                   printable(name), "' is inverted: (", box.xmin, ", ", box.ymin, ", ", box.xmax,
                   ", ", box.ymax, "); xmin and ymin must not exceed xmax and ymax");
    box.difficult = trimmed(object.child("difficult").child_value()) == "1";
    return box;
  }

  int category_of(std::string_view name) {
    return classes_.emplace(name, static_cast<int>(classes_.size())).first->second;
  }

  std::string root_;
  std::map<std::string, int> classes_;
};

}  // namespace

AnnotationSet read_voc_annotations(const std::string& root, const std::string& list) {
  AnnotationSet set;
  VocReader reader(root);
  for (const ListedImage& listed : read_list(list)) set.images.push_back(reader.read(listed));
  set.categories = reader.sort_classes(set.images);
  return set;
}

}  // namespace doppio
