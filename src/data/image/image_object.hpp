#pragma once
#include <vector>

#include "math/box.hpp"

namespace doppio {

class EmitConstraint;

/// An object in an image.
struct ImageObject {
  int label = 0, instance = 0;  // its class; its number within the class
  Box box{};                    // in fractions of the image
  bool difficult = false;
};

/// Changes the boxes to fractions of `frame`, a part of the image or what surrounds it, and clips
/// them to it. Objects without an area in it go, and those that `emit`, if there is one, does not
/// want. Source: matches SSD's Caffe.
void project_objects(std::vector<ImageObject>& objects, const Box& frame,
                     const EmitConstraint* emit);

/// Swaps left and right.
void mirror_objects(std::vector<ImageObject>& objects);

}  // namespace doppio
