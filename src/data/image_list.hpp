#pragma once
#include <string>
#include <vector>

namespace doppio {

/// A line of an image list.
struct ImageEntry {
  std::string path;
  int label = 0;
};

/// Reads a list of images, a line "path label" each; the label follows the last blank, so paths may
/// contain some. Throws: Error that names the malformed lines, or if there is no line at all.
std::vector<ImageEntry> read_image_list(const std::string& list);

}  // namespace doppio
