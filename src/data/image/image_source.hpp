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

/// An image on its way to the thread that decodes it.
struct SourceItem {
  Record record;     // of a list: the path as key
  Index place = -1;  // where it stands in the source; -1: its number says so
};

/// Decodes the images of a source. One per thread.
class ImageReader {
 public:
  virtual ~ImageReader() = default;
  /// The image is valid until the next call; `draws` belongs to it only, from Transformer::kDraws
  /// on. Throws: Error.
  virtual Image read(const SourceItem& item, const Random& draws) = 0;
};

/// Labelled images that can be had in their order or at random. For use by one thread at a time.
class ImageSource {
 public:
  virtual ~ImageSource() = default;

  /// Image `number`, counted round and round; fast where numbers ascend.
  virtual SourceItem in_order(std::uint64_t number) = 0;
  /// The image in place `k`, 0 <= k < size().
  virtual SourceItem at(Index k) = 0;
  /// Number of images, at least 1; of a LevelDB it takes a pass over all keys.
  virtual Index size() = 0;
  /// The same, or 0 if it would take such a pass.
  virtual Index known_size() const = 0;

  /// What the item is called in messages.
  virtual std::string name(const SourceItem& item) const = 0;
  virtual std::unique_ptr<ImageReader> reader() const = 0;
};

/// How image files are decoded.
struct DecodeOptions {
  Color color = Color::as_stored;
  Index min_side = 0;  // see decode_image()
  Index height = 0;    // pixels to resize to; 0: keep (of a list only)
  Index width = 0;
};

/// Reads records that hold a Datum.
std::unique_ptr<ImageReader> make_record_reader(const DecodeOptions& options);

/// The records of a database, for readers that `make_reader` makes. Throws: Error if it cannot be
/// opened.
std::unique_ptr<ImageSource> open_database_source(
    const std::string& path, std::function<std::unique_ptr<ImageReader>()> make_reader);

/// The files of a list, whose paths follow `root` as it is. Throws: Error if the list is malformed.
std::unique_ptr<ImageSource> open_list_source(const std::string& list, const std::string& root,
                                              const DecodeOptions& options);

}  // namespace doppio
