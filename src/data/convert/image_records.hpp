#pragma once
#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/threads.hpp"
#include "data/prefetch.hpp"
#include "doppio/shape.hpp"

namespace doppio {

class Datum;

/// Called periodically during long operations, on the calling thread.
using Progress = std::function<void(Index done, Index total)>;

/// How to handle images that cannot be read.
enum class OnError { fail, skip };

/// Options of all conversions of image files, with the meanings and defaults of Caffe's
/// convert_imageset.
struct ImageConversionOptions {
  std::string root;        ///< prefix of each path; end it with '/'
  std::string database;    ///< folder to create
  bool overwrite = false;  ///< replace an existing database once the new one is complete
  bool gray = false;       ///< one channel instead of B, G, R
  bool shuffle = false;
  std::uint64_t seed = 0;        ///< of the shuffle
  std::string backend = "lmdb";  ///< or "leveldb"
  Index resize_height = 0;       ///< pixels; 0: keep size (give both or neither)
  Index resize_width = 0;
  bool encoded = false;     ///< store image files instead of pixels
  std::string encode_type;  ///< "png", "jpg", ...; implies encoded. Empty: by file extension
  OnError on_error = OnError::fail;
  int threads = 0;  ///< 0: all cores but one
  Progress progress = nullptr;
};

/// Throws: Error unless the size to resize to is complete and possible.
void check_options(const ImageConversionOptions& options);

/// A record to be written, or the reason why it cannot be.
struct ConvertedImage {
  std::string key, value, damage;
  Shape shape;  ///< C x H x W, as stored
};

/// Returns the key "%08d_path" of the record at `place`.
std::string record_key(const std::string& path, Index place);

/// Returns the order in which `n` listed images are stored: that of the list, or shuffled.
std::vector<Index> record_order(Index n, const ImageConversionOptions& options);

/// Shapes of an image, C x H x W.
struct StoredShapes {
  Shape file;    ///< as decoded
  Shape stored;  ///< after resizing
};

/// Reads the image file options.root + `path` and stores it in `datum` as `options` say: unchanged
/// if it has the requested format and channels and is not resized. Throws: Error if the file is
/// missing or damaged, or if there is no encoder for the format.
StoredShapes store_image(const ImageConversionOptions& options, const std::string& path,
                         Datum& datum);

/// Returns the first of the `damaged` images, one per line.
std::string damage_list(const std::vector<std::string>& damaged);

/// Makes the records from `first` on with `make(place)` on all cores, and passes them to
/// `take(record)` in order, on the calling thread. `stop`, if not empty, is polled between batches.
/// Returns the position where it ended, which is before `total` only after a stop request.
template <class Made, class Make, class Take>
Index convert_records(Index first, Index total, const ImageConversionOptions& options, Make make,
                      Take take, const std::function<bool()>& stop = nullptr) {
  constexpr Index kBatch = 32;
  constexpr std::size_t kSlots = 4;
  using Batch = std::vector<Made>;
  Index claimed = first;
  const auto claim = [&] { return claimed++; };
  const auto make_item = [&](int, const Index& place, Batch& batch, Index i) {
    if (place < total) batch[static_cast<std::size_t>(i)] = make(place);
  };
  Prefetcher<Index, Batch> made_ahead(std::vector<Batch>(kSlots, Batch(kBatch)), kBatch,
                                      worker_count(options.threads), {claim, make_item});
  Index done = first;
  while (done < total && !(stop && stop())) {
    const Batch& batch = made_ahead.take();
    const Index n = std::min(kBatch, total - done);
    for (Index i = 0; i < n; ++i) take(batch[static_cast<std::size_t>(i)]);
    made_ahead.release();
    done += n;
    if (options.progress) options.progress(done, total);
  }
  return done;
}

}  // namespace doppio
