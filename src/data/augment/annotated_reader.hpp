#pragma once
#include <memory>
#include <set>
#include <string>

#include "data/augment/augmenter.hpp"
#include "data/image/image_source.hpp"

namespace doppio {

struct AnnotatedOptions {
  DecodeOptions decode;
  std::shared_ptr<const Augmenter> augmenter;
  std::set<int> labels;        // labels that objects may have; empty: any from 0
  bool boxes_assumed = false;  // records without a type are images without objects
};

/// Reads and augments records that contain an AnnotatedDatum. The reader throws Error for a record
/// of another type, a bad label or box, or an unusable image.
std::unique_ptr<ImageReader> make_annotated_reader(const AnnotatedOptions& options);

/// Returns the labels in a LabelMap text file. Throws: Error with the line if it is invalid.
std::set<int> read_label_map(const std::string& path);

}  // namespace doppio
