#include "data/convert/convert_imageset.hpp"

#include <charconv>

#include "core/printable.hpp"
#include "data/image/image_list.hpp"
#include "data/storage/database.hpp"
#include "data/storage/database_folder.hpp"
#include "doppio.pb.h"
#include "doppio/error.hpp"

namespace doppio {

namespace {

struct LabelledImage : ConvertedImage {
  int label = 0;
};

LabelledImage make_record(const ImagesetOptions& o, const ImageEntry& entry, Index place) {
  LabelledImage made;
  made.key = record_key(entry.path, place);
  made.label = entry.label;
  try {
    Datum datum;
    datum.set_label(entry.label);
    made.shape = store_image(o, entry.path, datum).stored;
    made.value = datum.SerializeAsString();
  } catch (const Error& e) {
    made.damage = str(printable(o.root + entry.path), ": ", e.message());
  }
  return made;
}

/// Writes records in order. After a damaged image that is not skipped, only checks the rest.
class RecordSink {
 public:
  RecordSink(const ImagesetOptions& options, DatabaseWriter& writer)
      : options_(options), writer_(writer) {}

  void take(const LabelledImage& made) {
    if (!made.damage.empty()) {
      result.damaged.push_back(made.damage);
      return;
    }
    if (options_.check_size && !first_key_.empty())
      require(made.shape == first_shape_, "check_size: '", made.key, "' is ", made.shape.text(),
              " and '", first_key_, "' is ", first_shape_.text());
    if (first_key_.empty()) {
      first_key_ = made.key;
      first_shape_ = made.shape;
    }
    if (options_.on_error == OnError::fail && !result.damaged.empty()) return;  // only check
    writer_.put(made.key, made.value);
    result.stored.add(made.label, {made.shape[1], made.shape[2]}, made.value.size());
    ++result.written;
  }

  ImagesetResult result;

 private:
  const ImagesetOptions& options_;
  DatabaseWriter& writer_;
  std::string first_key_;
  Shape first_shape_;
};

/// The images of a list in the order of their records.
class Sequence {
 public:
  explicit Sequence(const ImagesetOptions& o)
      : entries_(read_image_list(o.list, o.root)), order_(record_order(size(), o)) {}

  Index size() const { return static_cast<Index>(entries_.size()); }
  const ImageEntry& operator[](Index place) const {
    return entries_[static_cast<std::size_t>(order_[static_cast<std::size_t>(place)])];
  }

  /// Returns the position after `last`, the last key of an interrupted conversion.
  Index place_after(const std::string& last, const std::string& database) const {
    if (last.empty()) return 0;
    Index place = -1;
    std::from_chars(last.data(), last.data() + last.size(), place);
    const bool ours =
        0 <= place && place < size() && record_key((*this)[place].path, place) == last;
    require(
        ours, "cannot resume ", printable(database), ": its last record '", printable(last),
        "' is not what this list makes; give the list and, if it was shuffled, the seed that it "
        "was begun with");
    return place + 1;
  }

 private:
  std::vector<ImageEntry> entries_;
  std::vector<Index> order_;
};

IfThere if_there(const ImagesetOptions& options) {
  if (options.resume) return options.overwrite ? IfThere::append_and_replace : IfThere::append;
  return options.overwrite ? IfThere::replace : IfThere::fail;
}

}  // namespace

ImagesetResult convert_imageset(const ImagesetOptions& options) {
  check_options(options);
  const Backend backend = backend_of(options.backend);
  const Sequence images(options);
  Index first = 0;
  if (options.resume) {
    const Begun begun = begun_database(options.database, if_there(options));
    first = images.place_after(last_key(begun.folder), begun.folder);
    if (begun.finished && first == images.size()) {
      ImagesetResult nothing_left;
      nothing_left.resumed = nothing_left.total = first;
      return nothing_left;
    }
  }
  const auto writer = make_database(options.database, backend, if_there(options));
  try {
    RecordSink sink(options, *writer);
    ImagesetResult& result = sink.result;
    result.resumed = first;
    result.total = images.size();
    const auto make = [&](Index place) { return make_record(options, images[place], place); };
    const auto take = [&](const LabelledImage& made) { sink.take(made); };
    const Index done =
        convert_records<LabelledImage>(first, images.size(), options, make, take, options.stop);
    if (done < images.size()) {
      result.stopped = true;
      writer->suspend();
      return result;
    }
    const std::size_t damaged = result.damaged.size();
    require(damaged == 0 || options.on_error == OnError::skip, damaged, " of ", images.size(),
            " images cannot be read; repair or remove them, or ask to skip them:",
            damage_list(result.damaged));
    require(result.written + first > 0, "none of ", images.size(),
            " images can be read:", damage_list(result.damaged));
    writer->finish();
    return result;
  } catch (...) {
    if (!options.resume) writer->discard();
    throw;
  }
}

}  // namespace doppio
