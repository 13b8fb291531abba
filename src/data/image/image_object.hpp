#pragma once
#include <vector>

#include "math/box.hpp"

namespace doppio {

class EmitConstraint;

/// An annotated object in an image.
struct ImageObject {
  int label = 0, instance = 0;  // class; number within the class
  Box box{};                    // in fractions of the image
  bool difficult = false;
};

/// Converts the boxes to fractions of `frame`, a part or an extension of the image, and clips them
/// to it. Drops objects without area in it, and those that `emit`, if not null, rejects. Source:
/// matches SSD's Caffe.
void project_objects(std::vector<ImageObject>& objects, const Box& frame,
                     const EmitConstraint* emit);

/// Mirrors all boxes horizontally.
void mirror_objects(std::vector<ImageObject>& objects);

}  // namespace doppio
