#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "doppio/shape.hpp"

namespace doppio {

/// Called now and then by long work, on the calling thread.
using Progress = std::function<void(Index done, Index total)>;

/// What to do about images that cannot be read.
enum class OnError { fail, skip };

/// The fields are convert_imageset's flags, with Caffe's meanings and defaults.
struct ImagesetOptions {
  std::string root;        ///< put before each path as it is; end it with '/'
  std::string list;        ///< text file of lines "path label"; the label follows the last blank
  std::string database;    ///< folder to make
  bool overwrite = false;  ///< replace the database that is there once the new one is whole
  bool resume = false;     ///< continue what an interrupted conversion left; keep it on failure
  bool gray = false;       ///< one channel instead of B, G, R
  bool shuffle = false;
  std::uint64_t seed = 0;        ///< of the shuffle
  std::string backend = "lmdb";  ///< or "leveldb"
  Index resize_height = 0;       ///< pixels; 0: keep (give both or neither)
  Index resize_width = 0;
  bool check_size = false;  ///< refuse images that differ in size
  bool encoded = false;     ///< store image files instead of pixels
  std::string encode_type;  ///< "png", "jpg", ...; implies encoded. Empty: as the file's name ends
  OnError on_error = OnError::fail;
  int threads = 0;  ///< 0: all cores but one
  Progress progress;
  std::function<bool()> stop = nullptr;  ///< asked now and then: true ends the conversion early
};

struct ImagesetResult {
  Index resumed = 0;  ///< images of the list that an earlier run has dealt with
  Index written = 0;
  Index total = 0;                   ///< images of the list
  bool stopped = false;              ///< the conversion ended early and can be resumed
  std::vector<std::string> damaged;  ///< "path: reason" of each image that was skipped
};

/// Makes a database of the images in a list, in its order (or shuffled), decoding on all cores.
///
/// Keys are "%08d_path" with the place in that order. An image file is stored unchanged if it has
/// the wanted format and channels and is not resized. The database gets its name once it is whole;
/// until then it lies in "DATABASE.partial", which readers refuse. Throws: Error, and removes that
/// folder, if the list is malformed, or if images are damaged (all are looked at and listed) and
/// on_error is not skip; with resume it stays. Source: matches Caffe, which skips damaged images
/// silently and has no seed.
ImagesetResult convert_imageset(const ImagesetOptions& options);

}  // namespace doppio
