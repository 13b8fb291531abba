#pragma once
#include <functional>
#include <string>
#include <vector>

#include "data/convert/image_records.hpp"
#include "data/convert/stored_images.hpp"
#include "doppio/shape.hpp"

namespace doppio {

/// Options of convert_imageset, with Caffe's meanings and defaults.
struct ImagesetOptions : ImageConversionOptions {
  std::string list;         ///< text file of lines "path label"; the label follows the last blank
  bool resume = false;      ///< continue an interrupted conversion; keep its result on failure
  bool check_size = false;  ///< refuse images that differ in size
  std::function<bool()> stop = nullptr;  ///< polled between batches: true ends the conversion early
};

struct ImagesetResult {
  Index resumed = 0;  ///< images of the list that an earlier run has processed
  Index written = 0;
  Index total = 0;                   ///< images of the list
  bool stopped = false;              ///< the conversion ended early and can be resumed
  std::vector<std::string> damaged;  ///< "path: reason" of each image that was skipped
  StoredImages stored;               ///< labels and sizes of the `written` images
};

/// Creates a database from a list of images, in order or shuffled, and decodes on all cores.
///
/// Keys are "%08d_path" with the position in that order. An image file is stored unchanged if it
/// has the requested format and channels and is not resized. The database is written to
/// "DATABASE.partial", which readers reject, and renamed when complete. Throws: Error if the list
/// is malformed, or if images are damaged and on_error is not skip (all damaged images are listed).
/// The partial database is then removed, except with resume. Source: matches Caffe, which skips
/// damaged images silently and has no seed.
ImagesetResult convert_imageset(const ImagesetOptions& options);

}  // namespace doppio
