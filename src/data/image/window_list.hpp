#pragma once
#include <string>
#include <vector>

namespace doppio {

/// A rectangle of an image, its corners included.
struct Window {
  int image = 0;  // its place in WindowList::images
  int label = 0;  // 0: background
  int x1 = 0, y1 = 0, x2 = 0, y2 = 0;
};

/// The images of a window file, and their windows that count as object or as background.
struct WindowList {
  std::vector<std::string> images;  // paths
  std::vector<Window> objects, background;
};

/// Reads a window file: for each image "# index", path, channels, height, width, number of windows,
/// and for each of those "label overlap x1 y1 x2 y2". A window with an overlap of `object_overlap`
/// and more is an object, whose label must not be 0; one with less than `background_overlap` is
/// background; others are left out. A path may hold blanks, but no word that is a number.
/// Throws: Error that names line and image.
WindowList read_window_list(const std::string& file, float object_overlap,
                            float background_overlap);

}  // namespace doppio
