#pragma once
#include <string>
#include <vector>

#include "data/convert/annotation_set.hpp"
#include "data/convert/image_records.hpp"
#include "doppio/shape.hpp"

namespace doppio {

/// Options of convert_annotations. Image files are stored unchanged unless `encoded` is false.
struct AnnotationsOptions : ImageConversionOptions {
  AnnotationsOptions() { encoded = true; }

  std::string annotations;      ///< a COCO file if it ends in .json, else a list of VOC files
  std::string label_map;        ///< LabelMap with the classes' labels; empty: make one
  std::string write_label_map;  ///< where to write it; empty: DATABASE_labelmap.prototxt
  CrowdBoxes crowds = CrowdBoxes::difficult;  ///< of a COCO file
};

/// Something that occurred at images or boxes, and the first of them.
struct Occurrences {
  Index count = 0;
  std::string first;
};

/// The number of boxes of a class that were written.
struct ClassBoxes {
  std::string name;
  int label = 0;
  Index boxes = 0;
};

struct AnnotationsResult {
  Index written = 0;
  Index total = 0;                   ///< annotated images
  Index without_boxes = 0;           ///< of the images written
  Index boxes = 0;                   ///< written
  std::vector<ClassBoxes> classes;   ///< of the label map without the background, by label
  Occurrences outside;               ///< boxes that extend beyond their image, which are kept
  Occurrences empty;                 ///< boxes without an area, which are left out
  Occurrences other_size;            ///< images whose annotation states another size
  std::string label_map;             ///< the file that was read or written
  std::vector<std::string> damaged;  ///< "path: reason" of each image that was skipped
};

/// Creates a database of AnnotatedDatum records, in order or shuffled, and decodes on all cores.
///
/// Boxes are divided by the size that the annotation states or, if it states none, by that of the
/// image. Objects are grouped by class and numbered from 0 within it. Keys and the handling of
/// damaged images and annotations are those of convert_imageset. A label map is written after the
/// database. Throws: Error as convert_imageset, and if the annotations or the label map are
/// malformed as a whole. Source: the records match those of SSD's convert_annoset, which keeps
/// boxes without an area and reads a missing coordinate as 0.
AnnotationsResult convert_annotations(const AnnotationsOptions& options);

}  // namespace doppio
