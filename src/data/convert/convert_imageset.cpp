#include "data/convert/convert_imageset.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdio>
#include <numeric>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "core/printable.hpp"
#include "core/threads.hpp"
#include "data/image/image_file.hpp"
#include "data/image/image_list.hpp"
#include "data/prefetch.hpp"
#include "data/shuffle.hpp"
#include "data/storage/database.hpp"
#include "data/storage/database_folder.hpp"
#include "doppio.pb.h"
#include "doppio/error.hpp"

namespace doppio {

namespace {

/// A record to be written, or the reason why it cannot be.
struct ConvertedImage {
  std::string key, value, damage;
  Shape shape;
};

std::string lower_ending(const std::string& path) {
  const std::size_t dot = path.rfind('.');
  std::string ending = dot == std::string::npos ? "" : path.substr(dot + 1);
  for (char& c : ending) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return ending == "jpeg" ? "jpg" : ending;
}

std::string encode(const cv::Mat& image, const std::string& type) {
  std::vector<unsigned char> bytes;
  try {
    require(cv::imencode("." + type, image, bytes), "cannot encode the image as ", type);
  } catch (const cv::Exception&) {
    throw Error("there is no encoder for the format '" + type + "'");
  }
  return {bytes.begin(), bytes.end()};
}

/// Stores H x W x C pixels as C x H x W.
void set_pixels(const cv::Mat& image, Datum& datum) {
  const int C = image.channels(), H = image.rows, W = image.cols;
  datum.set_channels(C);
  datum.set_height(H);
  datum.set_width(W);
  std::string& out = *datum.mutable_data();
  out.resize(static_cast<std::size_t>(C) * image.total());
  char* plane = out.data();
  for (int c = 0; c < C; ++c)
    for (int h = 0; h < H; ++h, plane += W)
      for (int w = 0; w < W; ++w) plane[w] = static_cast<char>(image.ptr(h)[w * C + c]);
}

std::string key_of(const ImageEntry& entry, Index place) {
  char number[32];
  std::snprintf(number, sizeof number, "%08lld_", static_cast<long long>(place));
  return (number + entry.path).substr(0, DatabaseWriter::kMaxKey);
}

ConvertedImage make_record(const ImagesetOptions& o, const ImageEntry& entry, Index place) {
  ConvertedImage made;
  made.key = key_of(entry, place);
  try {
    const std::string file = read_listed_file(o.root, entry.path);
    cv::Mat image = decode_image(file, o.gray ? Color::gray : Color::color);
    const bool resize = o.resize_height > 0;
    if (resize)
      cv::resize(image, image,
                 cv::Size(static_cast<int>(o.resize_width), static_cast<int>(o.resize_height)));
    made.shape = {image.channels(), image.rows, image.cols};
    Datum datum;
    datum.set_label(entry.label);
    if (o.encoded || !o.encode_type.empty()) {
      const std::string ending = lower_ending(entry.path);
      const std::string type = o.encode_type.empty() ? ending : lower_ending("." + o.encode_type);
      const auto header = image_header(file);
      const bool as_wanted = header && header->channels == image.channels() && ending == type;
      datum.set_data(!resize && as_wanted ? file : encode(image, type));
      datum.set_encoded(true);
    } else {
      set_pixels(image, datum);
      datum.set_encoded(false);
    }
    made.value = datum.SerializeAsString();
  } catch (const Error& e) {
    made.damage = str(printable(o.root + entry.path), ": ", e.message());
  }
  return made;
}

void check_options(const ImagesetOptions& o) {
  constexpr Index kMaxSide = 1 << 16;
  require((o.resize_height > 0) == (o.resize_width > 0) && o.resize_height >= 0 &&
              o.resize_width >= 0 && o.resize_height <= kMaxSide && o.resize_width <= kMaxSide,
          "resize_height ", o.resize_height, " and resize_width ", o.resize_width,
          ": give both, from 1 to ", kMaxSide, ", or neither");
}

/// Lists the first damaged images, one per line.
std::string listing(const std::vector<std::string>& damaged) {
  constexpr std::size_t kShown = 50;
  std::string text;
  for (std::size_t i = 0; i < std::min(kShown, damaged.size()); ++i) text += "\n  " + damaged[i];
  if (damaged.size() > kShown) text += str("\n  and ", damaged.size() - kShown, " more");
  return text;
}

/// Writes records in order. After a damaged image that is not skipped, only checks the rest.
class RecordSink {
 public:
  RecordSink(const ImagesetOptions& options, DatabaseWriter& writer)
      : options_(options), writer_(writer) {}

  void take(const ConvertedImage& made) {
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
      : entries_(read_image_list(o.list, o.root)),
        order_(permutation(size(), Random{o.seed, stream_of("imageset")})) {
    if (!o.shuffle) std::iota(order_.begin(), order_.end(), Index{0});
  }

  Index size() const { return static_cast<Index>(entries_.size()); }
  const ImageEntry& operator[](Index place) const {
    return entries_[static_cast<std::size_t>(order_[static_cast<std::size_t>(place)])];
  }

  /// Returns the position after `last`, the last key of an interrupted conversion.
  Index place_after(const std::string& last, const std::string& database) const {
    if (last.empty()) return 0;
    Index place = -1;
    std::from_chars(last.data(), last.data() + last.size(), place);
    const bool ours = 0 <= place && place < size() && key_of((*this)[place], place) == last;
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

/// Makes the records of the images from `first` on, on all cores, and passes them to `sink`.
/// Returns the position where it ended, which is before the last image only after a stop request.
Index convert(const ImagesetOptions& options, const Sequence& images, Index first,
              RecordSink& sink) {
  constexpr Index kBatch = 32;
  constexpr std::size_t kSlots = 4;
  using Batch = std::vector<ConvertedImage>;
  const Index total = images.size();
  Index claimed = first;
  const auto claim = [&] { return claimed++; };
  const auto make = [&](int, const Index& place, Batch& batch, Index i) {
    if (place < total)
      batch[static_cast<std::size_t>(i)] = make_record(options, images[place], place);
  };
  Prefetcher<Index, Batch> made_ahead(std::vector<Batch>(kSlots, Batch(kBatch)), kBatch,
                                      worker_count(options.threads), {claim, make});
  Index done = first;
  while (done < total && !(options.stop && options.stop())) {
    const Batch& batch = made_ahead.take();
    const Index n = std::min(kBatch, total - done);
    for (Index i = 0; i < n; ++i) sink.take(batch[static_cast<std::size_t>(i)]);
    made_ahead.release();
    done += n;
    if (options.progress) options.progress(done, total);
  }
  return done;
}

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
    if (convert(options, images, first, sink) < images.size()) {
      result.stopped = true;
      writer->suspend();
      return result;
    }
    const std::size_t damaged = result.damaged.size();
    require(damaged == 0 || options.on_error == OnError::skip, damaged, " of ", images.size(),
            " images cannot be read; repair or remove them, or ask to skip them:",
            listing(result.damaged));
    require(result.written + first > 0, "none of ", images.size(),
            " images can be read:", listing(result.damaged));
    writer->finish();
    return result;
  } catch (...) {
    if (!options.resume) writer->discard();
    throw;
  }
}

}  // namespace doppio
