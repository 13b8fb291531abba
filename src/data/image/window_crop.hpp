#pragma once
#include "data/image/window_list.hpp"

namespace doppio {

/// How a window is cut out: the part of it that lies in the image is resized and put at (left, top)
/// of a square of crop_size pixels; the rest of that stays 0.
struct WindowCrop {
  int x = 0, y = 0, width = 0, height = 0;  // in the image
  int out_width = 0, out_height = 0;        // after resizing
  int left = 0, top = 0;
};

struct WindowCropOptions {
  int crop_size = 0;    // pixels, > 2 context_pad
  int context_pad = 0;  // pixels of the result that show what is around the window
  bool square = false;  // take the smallest square around the window instead of warping it
};

/// Places `window` in an image of height x width pixels. `mirrored` windows are flipped after
/// resizing, so what lies beyond the image is then on the other side. Throws: Error if the window
/// is empty or, without context and square, not in the image. Source: matches Caffe's WindowData.
WindowCrop crop_window(const Window& window, int height, int width, bool mirrored,
                       const WindowCropOptions& options);

}  // namespace doppio
