#include "data/convert_imageset.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "data/image_file.hpp"
#include "data/lmdb.hpp"
#include "data/prefetch.hpp"
#include "data/shuffle.hpp"
#include "doppio.pb.h"
#include "doppio/error.hpp"

namespace doppio {

namespace {

struct Entry {
  std::string path;
  int label = 0;
};

/// A record to be written, or why there is none.
struct Made {
  std::string key, value, damage;
  Shape shape;
};

Entry parse_line(const std::string& line, const Location& where) {
  const std::size_t blank = line.find_last_of(" \t");
  if (blank == std::string::npos || line.find_first_not_of(" \t") > blank)
    throw Error("no label; a line is \"path label\"", where);
  Entry entry{line.substr(0, line.find_last_not_of(" \t", blank) + 1)};
  const char* const first = line.data() + blank + 1;
  const char* const last = line.data() + line.size();
  const auto [end, status] = std::from_chars(first, last, entry.label);
  if (status != std::errc() || end != last)
    throw Error(str("label '", line.substr(blank + 1), "' is not an integer"), where);
  return entry;
}

std::vector<Entry> read_list(const std::string& list) {
  constexpr int kManyProblems = 20;
  std::ifstream in(list);
  require(in.good(), "cannot read the list ", list);
  std::vector<Entry> entries;
  Problems problems;
  int line_number = 0, problem_count = 0;
  for (std::string line; std::getline(in, line) && problem_count < kManyProblems;) {
    ++line_number;
    while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back()))) line.pop_back();
    if (line.empty()) continue;
    try {
      entries.push_back(parse_line(line, {list, line_number}));
    } catch (const Error& e) {
      problems.add(e);
      ++problem_count;
    }
  }
  problems.throw_if_any();
  require(!entries.empty(), "the list ", list, " is empty");
  return entries;
}

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

/// Splits H x W x C into planes.
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

Made make_record(const ImagesetOptions& o, const Entry& entry, Index place) {
  char number[32];
  std::snprintf(number, sizeof number, "%08lld_", static_cast<long long>(place));
  Made made;
  made.key = (number + entry.path).substr(0, LmdbWriter::kMaxKey);
  try {
    const std::string file = read_file(o.root + entry.path);
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
    datum.SerializeToString(&made.value);
  } catch (const Error& e) {
    made.damage = str(o.root, entry.path, ": ", e.message());
  }
  return made;
}

void check_options(const ImagesetOptions& o) {
  require(o.backend == "lmdb", "backend '", o.backend, "' is not supported",
          did_you_mean(o.backend, {"lmdb"}), "; the one there is is lmdb");
  constexpr Index kMaxSide = 1 << 16;
  require((o.resize_height > 0) == (o.resize_width > 0) && o.resize_height >= 0 &&
              o.resize_width >= 0 && o.resize_height <= kMaxSide && o.resize_width <= kMaxSide,
          "resize_height ", o.resize_height, " and resize_width ", o.resize_width,
          ": give both, from 1 to ", kMaxSide, ", or neither");
}

/// One text of the first damaged images, a line each.
std::string listing(const std::vector<std::string>& damaged) {
  constexpr std::size_t kShown = 50;
  std::string text;
  for (std::size_t i = 0; i < std::min(kShown, damaged.size()); ++i) text += "\n  " + damaged[i];
  if (damaged.size() > kShown) text += str("\n  and ", damaged.size() - kShown, " more");
  return text;
}

/// Takes records in their order and writes them while all is well.
class Sink {
 public:
  Sink(const ImagesetOptions& options, LmdbWriter& writer) : options_(options), writer_(writer) {}

  void take(const Made& made) {
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
    if (options_.on_error == OnError::fail && !result.damaged.empty()) return;  // only look
    writer_.put(made.key, made.value);
    ++result.written;
  }

  ImagesetResult result;

 private:
  const ImagesetOptions& options_;
  LmdbWriter& writer_;
  std::string first_key_;
  Shape first_shape_;
};

}  // namespace

ImagesetResult convert_imageset(const ImagesetOptions& options) {
  check_options(options);
  std::vector<Entry> entries = read_list(options.list);
  const auto total = static_cast<Index>(entries.size());
  std::vector<Index> order = permutation(total, Random{options.seed, stream_of("imageset")});
  if (!options.shuffle) std::iota(order.begin(), order.end(), Index{0});

  constexpr Index kBatch = 32;
  constexpr std::size_t kSlots = 4;
  using Batch = std::vector<Made>;
  LmdbWriter writer(options.database, options.overwrite);
  try {
    Sink sink(options, writer);
    Index claimed = 0;
    const auto claim = [&] { return claimed++; };
    const auto make = [&](int, const Index& place, Batch& batch, Index i) {
      if (place >= total) return;
      const auto k = static_cast<std::size_t>(order[static_cast<std::size_t>(place)]);
      batch[static_cast<std::size_t>(i)] = make_record(options, entries[k], place);
    };
    Prefetcher<Index, Batch> made_ahead(std::vector<Batch>(kSlots, Batch(kBatch)), kBatch,
                                        worker_count(options.threads), {claim, make});
    for (Index done = 0; done < total;) {
      const Batch& batch = made_ahead.take();
      const Index n = std::min(kBatch, total - done);
      for (Index i = 0; i < n; ++i) sink.take(batch[static_cast<std::size_t>(i)]);
      made_ahead.release();
      done += n;
      if (options.progress) options.progress(done, total);
    }
    const std::vector<std::string>& damaged = sink.result.damaged;
    require(damaged.empty() || options.on_error == OnError::skip, damaged.size(), " of ", total,
            " images cannot be read; mend or drop them, or ask to skip them:", listing(damaged));
    require(sink.result.written > 0, "none of ", total, " images can be read:", listing(damaged));
    writer.finish();
    return sink.result;
  } catch (...) {
    writer.discard();
    throw;
  }
}

}  // namespace doppio
