#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "doppio/shape.hpp"

namespace doppio {

/// Called periodically during long operations, on the calling thread.
using Progress = std::function<void(Index done, Index total)>;

/// How to handle images that cannot be read.
enum class OnError { fail, skip };

/// Options of convert_imageset, with Caffe's meanings and defaults.
struct ImagesetOptions {
  std::string root;        ///< prefix of each path; end it with '/'
  std::string list;        ///< text file of lines "path label"; the label follows the last blank
  std::string database;    ///< folder to create
  bool overwrite = false;  ///< replace an existing database once the new one is complete
  bool resume = false;     ///< continue an interrupted conversion; keep its result on failure
  bool gray = false;       ///< one channel instead of B, G, R
  bool shuffle = false;
  std::uint64_t seed = 0;        ///< of the shuffle
  std::string backend = "lmdb";  ///< or "leveldb"
  Index resize_height = 0;       ///< pixels; 0: keep size (give both or neither)
  Index resize_width = 0;
  bool check_size = false;  ///< refuse images that differ in size
  bool encoded = false;     ///< store image files instead of pixels
  std::string encode_type;  ///< "png", "jpg", ...; implies encoded. Empty: by file extension
  OnError on_error = OnError::fail;
  int threads = 0;  ///< 0: all cores but one
  Progress progress;
  std::function<bool()> stop = nullptr;  ///< polled between batches: true ends the conversion early
};

struct ImagesetResult {
  Index resumed = 0;  ///< images of the list that an earlier run has processed
  Index written = 0;
  Index total = 0;                   ///< images of the list
  bool stopped = false;              ///< the conversion ended early and can be resumed
  std::vector<std::string> damaged;  ///< "path: reason" of each image that was skipped
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
