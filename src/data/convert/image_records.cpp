#include "data/convert/image_records.hpp"

#include <cctype>
#include <cstdio>
#include <numeric>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "data/image/image_file.hpp"
#include "data/image/image_list.hpp"
#include "data/shuffle.hpp"
#include "data/storage/database.hpp"
#include "doppio.pb.h"
#include "doppio/error.hpp"

namespace doppio {

namespace {

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

Shape shape_of(const cv::Mat& image) { return {image.channels(), image.rows, image.cols}; }

}  // namespace

void check_options(const ImageConversionOptions& o) {
  constexpr Index kMaxSide = 1 << 16;
  require((o.resize_height > 0) == (o.resize_width > 0) && o.resize_height >= 0 &&
              o.resize_width >= 0 && o.resize_height <= kMaxSide && o.resize_width <= kMaxSide,
          "resize_height ", o.resize_height, " and resize_width ", o.resize_width,
          ": give both, from 1 to ", kMaxSide, ", or neither");
}

std::string record_key(const std::string& path, Index place) {
  char number[32];
  std::snprintf(number, sizeof number, "%08lld_", static_cast<long long>(place));
  return (number + path).substr(0, DatabaseWriter::kMaxKey);
}

std::vector<Index> record_order(Index n, const ImageConversionOptions& options) {
  if (options.shuffle) return permutation(n, Random{options.seed, stream_of("imageset")});
  std::vector<Index> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), Index{0});
  return order;
}

StoredShapes store_image(const ImageConversionOptions& o, const std::string& path, Datum& datum) {
  const std::string file = read_listed_file(o.root, path);
  cv::Mat image = decode_image(file, o.gray ? Color::gray : Color::color);
  const Shape decoded = shape_of(image);
  const bool resize = o.resize_height > 0;
  if (resize)
    cv::resize(image, image,
               cv::Size(static_cast<int>(o.resize_width), static_cast<int>(o.resize_height)));
  if (o.encoded || !o.encode_type.empty()) {
    const std::string ending = lower_ending(path);
    const std::string type = o.encode_type.empty() ? ending : lower_ending("." + o.encode_type);
    const auto header = image_header(file);
    const bool as_wanted = header && header->channels == image.channels() && ending == type;
    datum.set_data(!resize && as_wanted ? file : encode(image, type));
    datum.set_encoded(true);
  } else {
    set_pixels(image, datum);
    datum.set_encoded(false);
  }
  return {decoded, shape_of(image)};
}

std::string damage_list(const std::vector<std::string>& damaged) {
  constexpr std::size_t kShown = 50;
  std::string text;
  for (std::size_t i = 0; i < std::min(kShown, damaged.size()); ++i) text += "\n  " + damaged[i];
  if (damaged.size() > kShown) text += str("\n  and ", damaged.size() - kShown, " more");
  return text;
}

}  // namespace doppio
