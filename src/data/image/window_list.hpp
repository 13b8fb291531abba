#pragma once
#include <string>
#include <vector>

namespace doppio {

/// A rectangle of an image. Both corners are inclusive.
struct Window {
  int image = 0;  // index into WindowList::images
  int label = 0;  // 0: background
  int x1 = 0, y1 = 0, x2 = 0, y2 = 0;
};

/// The images of a window file, and their object and background windows.
struct WindowList {
  std::vector<std::string> images;  // paths
  std::vector<Window> objects, background;
};

/// Reads a window file: for each image "# index", path, channels, height, width, number of windows,
/// and for each window "label overlap x1 y1 x2 y2". A window with an overlap of at least
/// `object_overlap` is an object, whose label must not be 0. One with less than
/// `background_overlap` is background. Others are dropped. A path may contain blanks, but no word
/// that is a number. Throws: Error that names line and image.
WindowList read_window_list(const std::string& file, float object_overlap,
                            float background_overlap);

}  // namespace doppio
