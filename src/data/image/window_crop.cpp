#include "data/image/window_crop.hpp"

#include <algorithm>
#include <cmath>

#include "doppio/error.hpp"

namespace doppio {

namespace {

/// First and last pixel of a window along one axis.
struct Extent {
  int first, last;
};

/// A window along one axis: pixels of the image, their size in the result, and the margins.
struct Placed {
  int first, size;
  int out_size;
  int before, after;  // pixels of the result beyond the image
};

int rounded(float value) { return static_cast<int>(std::round(value)); }

/// Extends to `half` on both sides of the middle, clips to 0 .. size-1, scales to crop pixels.
Placed place(const Extent& window, float half, int size, int crop) {
  const float middle =
      static_cast<float>(window.first) + static_cast<float>(window.last - window.first + 1) / 2;
  const int first = rounded(middle - half), last = rounded(middle + half);
  const int before = std::max(0, -first), after = std::max(0, last - size + 1);
  const int clipped = last - first + 1 - before - after;
  require(clipped > 0, "the window lies beyond the image");
  const float scale = static_cast<float>(crop) / static_cast<float>(last - first + 1);
  return {first + before, clipped, rounded(static_cast<float>(clipped) * scale),
          rounded(static_cast<float>(before) * scale), rounded(static_cast<float>(after) * scale)};
}

}  // namespace

WindowCrop crop_window(const Window& w, int height, int width, bool mirrored,
                       const WindowCropOptions& o) {
  require(w.x1 <= w.x2 && w.y1 <= w.y2, "the window is empty");
  if (o.context_pad == 0 && !o.square) {
    require(w.x1 >= 0 && w.y1 >= 0 && w.x2 < width && w.y2 < height,
            "the window is not in the image of ", height, " x ", width, " pixels");
    return {w.x1, w.y1, w.x2 - w.x1 + 1, w.y2 - w.y1 + 1, o.crop_size, o.crop_size, 0, 0};
  }
  // Scale that gives the window a margin of context_pad pixels in the result.
  const float context =
      static_cast<float>(o.crop_size) / static_cast<float>(o.crop_size - 2 * o.context_pad);
  float half_width = static_cast<float>(w.x2 - w.x1 + 1) / 2;
  float half_height = static_cast<float>(w.y2 - w.y1 + 1) / 2;
  if (o.square) half_width = half_height = std::max(half_width, half_height);
  const Placed x = place({w.x1, w.x2}, half_width * context, width, o.crop_size);
  const Placed y = place({w.y1, w.y2}, half_height * context, height, o.crop_size);
  WindowCrop crop{.x = x.first, .y = y.first, .width = x.size, .height = y.size};
  crop.left = mirrored ? x.after : x.before;
  crop.top = y.before;
  crop.out_width = std::min(x.out_size, o.crop_size - crop.left);
  crop.out_height = std::min(y.out_size, o.crop_size - crop.top);
  require(crop.out_width > 0 && crop.out_height > 0, "the window lies beyond the image");
  return crop;
}

}  // namespace doppio
