#include "data/convert/class_labels.hpp"

#include <google/protobuf/text_format.h>

#include <filesystem>
#include <map>

#include "core/printable.hpp"
#include "doppio.pb.h"
#include "doppio/error.hpp"
#include "io/atomic_file.hpp"
#include "io/input_file.hpp"
#include "io/text_format.hpp"

namespace doppio {

namespace {

constexpr const char* kBackground = "none_of_the_above";  // SSD's name

void add_item(LabelMap& map, const std::string& name, const std::string& display_name) {
  LabelMapItem& item = *map.add_item();
  item.set_label(map.item_size() - 1);
  item.set_name(name);
  item.set_display_name(display_name);
}

std::string text_of(const LabelMap& map) {
  std::string text;
  google::protobuf::TextFormat::PrintToString(map, &text);
  return text;
}

}  // namespace

LabelMap read_class_labels(const std::string& path) {
  TextAdvice advice;
  LabelMap map;
  const FieldPlaces places = parse_text_format(read_text_file(path), path, map, advice);
  require(map.item_size() > 0, printable(path), " has no labels; expected a LabelMap");
  std::map<std::string, int> label_of;
  for (int i = 0; i < map.item_size(); ++i) {
    const LabelMapItem& item = map.item(i);
    const auto place = places.find(str("item[", i, "]"));
    const auto check = [&](bool ok, const std::string& problem) {
      if (!ok) throw Error(problem, place == places.end() ? Location{path} : place->second);
    };
    check(item.has_name() && item.has_label(), "an item needs a name and a label");
    check(item.label() >= 0, str("label ", item.label(), " is negative"));
    const int label = label_of.emplace(item.name(), item.label()).first->second;
    check(label == item.label(),
          str("'", printable(item.name()), "' has the labels ", label, " and ", item.label()));
  }
  return map;
}

LabelMap make_class_labels(const std::vector<AnnotationCategory>& categories) {
  LabelMap map;
  add_item(map, kBackground, "background");
  std::map<std::string, std::string> id_of{{kBackground, ""}};
  for (const AnnotationCategory& category : categories) {
    const auto [place, is_new] = id_of.emplace(category.name, category.id);
    require(is_new, "the categories ", printable(place->second), " and ", printable(category.id),
            " are both called '", printable(category.name),
            "'; rename one, or give a label map with their ids as names");
    add_item(map, category.name, category.name);
  }
  return map;
}

std::vector<int> labels_of(const std::vector<AnnotationCategory>& categories, const LabelMap& map) {
  std::map<std::string, int> label_of;
  for (const LabelMapItem& item : map.item()) label_of.emplace(item.name(), item.label());
  std::vector<int> labels;
  for (const AnnotationCategory& category : categories) {
    auto found = label_of.find(category.name);
    if (found == label_of.end() && !category.id.empty()) found = label_of.find(category.id);
    labels.push_back(found == label_of.end() ? -1 : found->second);
  }
  return labels;
}

void check_class_labels(const std::string& path, const LabelMap& map, bool overwrite) {
  std::error_code unknown;
  if (std::filesystem::exists(path, unknown)) read_class_labels(path);  // nothing else is replaced
  if (std::filesystem::exists(path, unknown) && !overwrite)
    require(read_file(path) == text_of(map), "the label map ", printable(path),
            " exists already and has other classes; give it as --label_map to use its labels, "
            "replace it with --overwrite, or write another file with --write_label_map");
  require_writable(path);
}

void write_class_labels(const std::string& path, const LabelMap& map) {
  write_file_atomically(path, [&](std::ostream& out) { out << text_of(map); });
}

}  // namespace doppio
