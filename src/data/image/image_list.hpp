#pragma once
#include <string>
#include <vector>

namespace doppio {

/// A line of an image list.
struct ImageEntry {
  std::string path;
  int label = 0;
};

/// Reads a list of images, a line "path label" each; the label, -2^24 to 2^24, follows the last
/// blank, so paths may contain some. `root` is what the caller puts before the paths.
/// Throws: Error that names the malformed lines, or if there is no line at all; also where the
/// files beside the list show that lines have several labels, or that `root` lacks its slash.
std::vector<ImageEntry> read_image_list(const std::string& list, const std::string& root);

/// The contents of the file `root` + `path`, which a list names. Throws: Error as read_file(), with
/// what may be wrong with the path.
std::string read_listed_file(const std::string& root, const std::string& path);

}  // namespace doppio
