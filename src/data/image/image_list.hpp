#pragma once
#include <string>
#include <vector>

namespace doppio {

/// A line of an image list.
struct ImageEntry {
  std::string path;
  int label = 0;
};

/// Reads a list of images with lines "path label". The label, -2^24 to 2^24, follows the last
/// blank, so paths may contain blanks. `root` is the prefix of the paths. Throws: Error that names
/// the malformed lines, or if there are no lines. Also throws if existing files show that lines
/// have several labels, or that `root` lacks its trailing slash.
std::vector<ImageEntry> read_image_list(const std::string& list, const std::string& root);

/// Returns the contents of the listed file `root` + `path`. Throws: Error as read_file(), with a
/// hint if the path looks wrong.
std::string read_listed_file(const std::string& root, const std::string& path);

}  // namespace doppio
