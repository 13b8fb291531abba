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
  std::set<int> labels;        // those that objects may have; empty: all from 0 on
  bool boxes_assumed = false;  // records without a type are images without objects
};

/// Reads records that hold an AnnotatedDatum, and augments them. Of a record that is none, has a
/// bad label or box, or an image that cannot be used, it throws an Error.
std::unique_ptr<ImageReader> make_annotated_reader(const AnnotatedOptions& options);

/// The labels in a LabelMap text file. Throws: Error with the line if there is none.
std::set<int> read_label_map(const std::string& path);

}  // namespace doppio
