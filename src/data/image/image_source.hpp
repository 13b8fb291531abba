#pragma once
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "data/image/datum.hpp"
#include "data/image/image_list.hpp"
#include "data/storage/database.hpp"
#include "math/philox.hpp"

namespace doppio {

/// A record to be decoded by another thread.
struct SourceItem {
  Record record;     // for image lists, the path is the key
  Index place = -1;  // position in the source; -1: given by the item's number
};

/// Decodes the images of a source. One per thread.
class ImageReader {
 public:
  virtual ~ImageReader() = default;
  /// Returns an image that is valid until the next call. `draws` are its random numbers, used from
  /// Transformer::kDraws on. Throws: Error if the image cannot be read.
  virtual Image read(const SourceItem& item, const Random& draws) = 0;
};

/// Labelled images with sequential and random access. Not thread-safe.
class ImageSource {
 public:
  virtual ~ImageSource() = default;

  /// Returns image `number` modulo size(). Fast for ascending numbers.
  virtual SourceItem in_order(std::uint64_t number) = 0;
  /// Returns the image at position `k`, 0 <= k < size().
  virtual SourceItem at(Index k) = 0;
  /// Number of images, at least 1. For LevelDB this reads all keys.
  virtual Index size() = 0;
  /// Same as size(), or 0 if that would have to read all keys.
  virtual Index known_size() const = 0;

  /// Returns the item's name for messages.
  virtual std::string name(const SourceItem& item) const = 0;
  virtual std::unique_ptr<ImageReader> reader() const = 0;
  /// Returns a short text that is the same for copies of the source and very likely differs for
  /// others. Reads about 16 images, and does not count those of a LevelDB database.
  virtual std::string fingerprint() const = 0;
};

/// How image files are decoded.
struct DecodeOptions {
  Color color = Color::as_stored;
  Index min_side = 0;  // see decode_image()
  Index height = 0;    // pixels to resize to; 0: keep size (image lists only)
  Index width = 0;
};

/// Creates a reader of records that contain a Datum.
std::unique_ptr<ImageReader> make_record_reader(const DecodeOptions& options);

/// Opens the records of one or more databases, one after another, to be read by readers from
/// `make_reader`. Throws: Error if one cannot be opened.
std::unique_ptr<ImageSource> open_database_source(
    const std::vector<std::string>& paths,
    std::function<std::unique_ptr<ImageReader>()> make_reader);

/// Opens an image list. `root` is the prefix of paths. Throws: Error if the list is malformed.
std::unique_ptr<ImageSource> open_list_source(const std::string& list, const std::string& root,
                                              const DecodeOptions& options);

}  // namespace doppio
