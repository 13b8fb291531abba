#pragma once
#include <string>
#include <vector>

#include "data/convert/annotation_set.hpp"

namespace doppio {

class LabelMap;

/// Reads a LabelMap text file. Throws: Error with the line if it is malformed, if an item lacks its
/// name or label, if a label is negative, or if a name has two labels.
LabelMap read_class_labels(const std::string& path);

/// Returns the map with the background as 0 and the categories in their order from 1 on. Throws:
/// Error if two categories have the same name.
LabelMap make_class_labels(const std::vector<AnnotationCategory>& categories);

/// Returns the label of each category: that of its name or else, as in SSD's map for COCO, that of
/// its id; -1 if the map has neither.
std::vector<int> labels_of(const std::vector<AnnotationCategory>& categories, const LabelMap& map);

/// Throws: Error if another file is at `path` and `overwrite` is false, or if the file cannot be
/// written.
void check_class_labels(const std::string& path, const LabelMap& map, bool overwrite);

/// Writes a LabelMap text file atomically.
void write_class_labels(const std::string& path, const LabelMap& map);

}  // namespace doppio
