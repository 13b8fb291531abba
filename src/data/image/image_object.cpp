#include "data/image/image_object.hpp"

#include "doppio.pb.h"

namespace doppio {

namespace {

bool wanted(const Box& box, const Box& frame, const EmitConstraint* emit) {
  if (!emit) return true;
  if (emit->emit_type() == EmitConstraint::MIN_OVERLAP)
    return coverage(box, frame) > emit->emit_overlap();
  const float x = (box.xmin + box.xmax) / 2, y = (box.ymin + box.ymax) / 2;
  return x >= frame.xmin && x <= frame.xmax && y >= frame.ymin && y <= frame.ymax;
}

Box seen_from(const Box& frame, const Box& box) {
  const float w = frame.width(), h = frame.height();
  return {(box.xmin - frame.xmin) / w, (box.ymin - frame.ymin) / h, (box.xmax - frame.xmin) / w,
          (box.ymax - frame.ymin) / h};
}

}  // namespace

void project_objects(std::vector<ImageObject>& objects, const Box& frame,
                     const EmitConstraint* emit) {
  std::erase_if(objects, [&](const ImageObject& a) {
    return intersection(a.box, frame).area() <= 0 || !wanted(a.box, frame, emit);
  });
  for (ImageObject& a : objects) a.box = seen_from(frame, intersection(a.box, frame));
}

void mirror_objects(std::vector<ImageObject>& objects) {
  for (ImageObject& a : objects) a.box = {1 - a.box.xmax, a.box.ymin, 1 - a.box.xmin, a.box.ymax};
}

}  // namespace doppio
