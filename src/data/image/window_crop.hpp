#pragma once
#include "data/image/window_list.hpp"

namespace doppio {

/// Placement of a window in its result: the part inside the image is resized and copied to (left,
/// top) of a square of crop_size pixels. The rest stays 0.
struct WindowCrop {
  int x = 0, y = 0, width = 0, height = 0;  // part of the image
  int out_width = 0, out_height = 0;        // after resizing
  int left = 0, top = 0;
};

struct WindowCropOptions {
  int crop_size = 0;    // pixels, > 2 context_pad
  int context_pad = 0;  // margin around the window, in pixels of the result
  bool square = false;  // use the smallest square around the window instead of warping
};

/// Returns the placement of `window` in an image of height x width pixels. `mirrored` windows are
/// flipped after resizing, which swaps the margins beyond the image. Throws: Error if the window is
/// empty or, without context and square, not inside the image. Source: matches Caffe's WindowData.
WindowCrop crop_window(const Window& window, int height, int width, bool mirrored,
                       const WindowCropOptions& options);

}  // namespace doppio
