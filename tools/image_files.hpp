#pragma once
#include <optional>
#include <string>
#include <vector>

namespace doppio {

/// An image file to classify.
struct ImageFile {
  std::string path;
  std::optional<int> label = {};  ///< the true class, if a list states it
};

/// True if the name ends like that of an image file that OpenCV reads, such as .jpg or .PNG.
bool has_image_ending(const std::string& path);

/// Returns the images in `folder` and its subfolders, sorted by path. Hidden files, links to
/// folders and files of other endings are left out, and counted in `ignored` if it is not null.
/// Throws: Error if the folder cannot be read.
std::vector<std::string> images_below(const std::string& folder, std::size_t* ignored = nullptr);

/// Expands `operands`: a folder stands for images_below() it, a text file for the images that it
/// lists, one per line as "path" or "path label". `root`, a
/// folder or another prefix, is put before paths in lists. Throws:
/// Error for a folder or list without images, or a malformed list.
std::vector<ImageFile> expand_images(const std::vector<std::string>& operands,
                                     const std::string& root);

}  // namespace doppio
