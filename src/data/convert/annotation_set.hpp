#pragma once
#include <string>
#include <vector>

#include "doppio/shape.hpp"

namespace doppio {

/// The box of an object, in pixels as the annotation has them.
struct PixelBox {
  int category = 0;  ///< index into AnnotationSet::categories
  float xmin = 0, ymin = 0, xmax = 0, ymax = 0;
  bool difficult = false;
};

/// An image of an AnnotationSet with its boxes.
struct AnnotatedImage {
  std::string path;             ///< below the root folder
  Index width = 0, height = 0;  ///< size that the annotation states, in pixels; 0: none
  std::vector<PixelBox> boxes;
  std::string damage;  ///< why the annotation cannot be used; empty if it can
};

/// A class of objects in an AnnotationSet.
struct AnnotationCategory {
  std::string name;
  std::string id = {};  ///< of a COCO file
};

/// The contents of annotation files.
struct AnnotationSet {
  std::vector<AnnotationCategory> categories;  ///< VOC: by name; COCO: by id
  std::vector<AnnotatedImage> images;          ///< in the order of the list or file
};

/// Maximum side of an image that an annotation may state, and maximum distance of a box from the
/// image's corner. Integers up to here are exact floats.
inline constexpr double kMaxPixel = 1 << 24;

/// Returns a coordinate as a float. Throws: Error with `name` if it is not within kMaxPixel.
float pixel_of(double coordinate, const std::string& name);

/// Returns a stated width or height. Throws: Error with `name` unless it is an integer from 0 to
/// kMaxPixel.
Index side_of(double side, const std::string& name);

/// Reads a list with lines "IMAGE ANNOTATION.xml" and its annotations in the format of Pascal VOC.
/// The annotation follows the last blank. Both paths are below `root`. Damage of one annotation is
/// stored with its image. Throws: Error with the lines of the list that are malformed.
AnnotationSet read_voc_annotations(const std::string& root, const std::string& list);

/// How to handle boxes around a crowd of objects (COCO's iscrowd): as difficult objects, or not at
/// all.
enum class CrowdBoxes { difficult, skip };

/// Reads the images, annotations and categories of a COCO file. Damage of one box is stored with
/// its image. Throws: Error if the file is malformed, if ids are missing or occur twice, or if an
/// annotation has an image or category that is not in the file.
AnnotationSet read_coco_annotations(const std::string& file, CrowdBoxes crowds);

}  // namespace doppio
