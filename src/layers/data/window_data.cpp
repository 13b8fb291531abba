#include <glog/logging.h>

#include <opencv2/imgproc.hpp>

#include "core/at.hpp"
#include "core/with_context.hpp"
#include "data/image/image_file.hpp"
#include "data/image/image_list.hpp"
#include "data/image/mean_file.hpp"
#include "data/image/transformer.hpp"
#include "data/image/window_crop.hpp"
#include "doppio.pb.h"
#include "doppio/extend/fingerprint.hpp"
#include "doppio/extend/registry.hpp"
#include "io/files_sample.hpp"
#include "io/sha256.hpp"
#include "layers/data/batch_feed.hpp"
#include "math/philox.hpp"

namespace doppio {
namespace {

constexpr Index kChannels = 3;

/// Random windows of images, for detection: each batch has background windows, then batch_size *
/// fg_fraction objects. A window is resized to crop_size x crop_size, with context_pad pixels of
/// its surroundings, and mirrored at random if transform_param.mirror is set.
///
/// Tops: windows, batch_size x 3 x crop_size x crop_size; labels, batch_size, 0 for background.
/// y = (x - mean) * window_data_param.scale; pixels outside the image are 0. A mean image larger
/// than the crop is cropped at its centre. The windows depend on ctx.seed, the layer's name and the
/// batch's number. Source: matches Caffe except for the random numbers.
class WindowData final : public Layer, public FingerprintedSource {
 public:
  explicit WindowData(const LayerParameter& p)
      : name_(p.name()),
        param_(p.window_data_param()),
        crop_{.crop_size = static_cast<int>(p.transform_param().crop_size()),
              .context_pad = static_cast<int>(param_.context_pad()),
              .square = param_.crop_mode() == "square"},
        mirror_(p.transform_param().mirror()),
        feed_({.batch_size = param_.batch_size(), .batch_field = "window_data_param.batch_size"}) {
    constexpr unsigned kMaxCrop = 1 << 14;
    const TransformationParameter& transform = p.transform_param();
    require_field(!param_.source().empty(), "window_data_param.source", "source is missing");
    require_field(param_.batch_size() > 0, "window_data_param.batch_size",
                  "batch_size must be at least 1");
    require_field(transform.crop_size() > 0 && transform.crop_size() <= kMaxCrop,
                  "transform_param.crop_size", "WindowData needs a crop_size from 1 to ", kMaxCrop);
    require_field(param_.context_pad() < (transform.crop_size() + 1) / 2,
                  "window_data_param.context_pad", "context_pad ", param_.context_pad(),
                  " leaves nothing of crop_size ", transform.crop_size());
    require_field(param_.crop_mode() == "warp" || crop_.square, "window_data_param.crop_mode",
                  "crop_mode '", param_.crop_mode(), "' is unknown",
                  did_you_mean(param_.crop_mode(), {"warp", "square"}),
                  "; expected warp or square");
    require_field(param_.fg_fraction() >= 0 && param_.fg_fraction() <= 1,
                  "window_data_param.fg_fraction", "fg_fraction ", param_.fg_fraction(),
                  " is out of range; it must be from 0 to 1");
    require_field(transform.views() == 1, "transform_param.views",
                  "WindowData gives one view of a window");
    require_no_augmentation(transform);
    LOG_IF(WARNING, transform.scale() != 1)
        << "WindowData ignores transform_param.scale, as Caffe does; use window_data_param.scale";
    read_mean(transform);
  }

  void reshape(Context& ctx, Bottoms, Tops top) override {
    if (!feed_.has_item()) open(ctx);
    feed_.reshape(top);
  }

  void forward(Context& ctx, Bottoms, Tops top) override {
    feed_.show_next(ctx, top, [&]() -> BatchFeed<std::uint64_t>::Steps {
      const Random draws{ctx.seed, stream_of(name_)};
      const auto make = [this, draws](int, const std::uint64_t& number, DataBatch& batch, Index i) {
        Random own = draws;
        own.pass = number;
        make_window(own, batch, i);
      };
      return {[](std::uint64_t number) { return number; }, make};
    });
  }

  Cursor cursor() const override { return feed_.cursor(); }
  void seek(const Cursor& cursor) override { feed_.seek(cursor); }
  Scratch scratch() const override { return feed_.scratch(); }
  double input_wait_seconds() const override { return feed_.wait_seconds(); }
  std::string item_name(Index item) const override { return feed_.name(item); }

  std::string fingerprint() override {
    if (!feed_.has_item()) return {};
    Sha256 list;
    std::vector<std::string> paths;
    for (const std::string& image : windows_.images) {
      list.update_with_length(image);
      paths.push_back(param_.root_folder() + image);
    }
    for (const std::vector<Window>* windows : {&windows_.objects, &windows_.background})
      for (const Window& w : *windows)
        for (const int number : {w.image, w.label, w.x1, w.y1, w.x2, w.y2})
          list.update(&number, sizeof number);
    const std::vector<float>& mean = mean_.values;
    return str(
        windows_.objects.size() + windows_.background.size(), " windows, list ", list.short_hex(),
        ", sample ", files_sample(paths),
        mean.empty() ? "" : ", mean " + short_sha256(mean.data(), mean.size() * sizeof(float)));
  }

 private:
  enum Draw : Index { kWindowDraw, kMirrorDraw };

  void read_mean(const TransformationParameter& transform) {
    const bool values = transform.mean_value_size() > 0;
    require_field(!values || !transform.has_mean_file(), "transform_param.mean_value",
                  "mean_file and mean_value exclude each other");
    if (values) {
      const int given = transform.mean_value_size();
      require_field(given == 1 || given == kChannels, "transform_param.mean_value", given,
                    " values of mean_value for 3 channels; give one, or one per channel");
      mean_ = {{kChannels, 1, 1}, {transform.mean_value().begin(), transform.mean_value().end()}};
      mean_.values.resize(kChannels, mean_.values.front());
    } else if (transform.has_mean_file()) {
      const Mean read = with_context(field_context("transform_param.mean_file"),
                                     [&] { return read_mean_file(transform.mean_file()); });
      const Index axes = read.shape.axes(), crop = crop_.crop_size;
      const Index H = axes < 3 ? 0 : read.shape[axes - 2], W = axes < 3 ? 0 : read.shape[axes - 1];
      require_field(W >= crop && H >= (W - crop) / 2 + crop, "transform_param.mean_file",
                    "mean_file ", transform.mean_file(), " is ", read.shape.text(),
                    ", smaller than crop_size ", crop);
      mean_ = with_context(field_context("transform_param.mean_file"), [&] {
        return fit_mean(read, {kChannels, H, W}, transform.mean_file());
      });
    }
  }

  void open(const Context& ctx) {
    windows_ = with_context(field_context("window_data_param.source"), [&] {
      return read_window_list(param_.source(), param_.fg_threshold(), param_.bg_threshold());
    });
    objects_ = static_cast<Index>(static_cast<float>(param_.batch_size()) * param_.fg_fraction());
    require_field(objects_ == 0 || !windows_.objects.empty(), "window_data_param.source",
                  param_.source(), " has no window with an overlap of fg_threshold ",
                  param_.fg_threshold(), " and more");
    require_field(objects_ == param_.batch_size() || !windows_.background.empty(),
                  "window_data_param.source", param_.source(),
                  " has no window with an overlap below bg_threshold ", param_.bg_threshold());
    if (param_.cache_images())
      for (const std::string& image : windows_.images)
        files_.push_back(read_listed_file(param_.root_folder(), image));
    feed_.set_item(ctx, {kChannels, crop_.crop_size, crop_.crop_size}, 1);
  }

  void make_window(const Random& draws, DataBatch& batch, Index i) const {
    const bool object = i >= static_cast<Index>(param_.batch_size()) - objects_;
    const std::vector<Window>& choice = object ? windows_.objects : windows_.background;
    const Window& window = at(choice, draws.below(static_cast<Index>(choice.size()), kWindowDraw));
    const auto image = static_cast<std::size_t>(window.image);
    const std::string path = param_.root_folder() + windows_.images[image];
    std::string& name = at(batch.names, i);
    name = str("window (", window.x1, ", ", window.y1, ", ", window.x2, ", ", window.y2, ") of ",
               path);
    const Index count = kChannels * crop_.crop_size * crop_.crop_size;
    with_context(name_context([&] { return name; }), [&] {
      const cv::Mat pixels = decode_image(
          files_.empty() ? read_listed_file(param_.root_folder(), windows_.images[image])
                         : files_[image],
          Color::color);
      write_window(pixels, window, mirror_ && draws.below(2, kMirrorDraw) == 1,
                   batch.data_out + i * count);
    });
    batch.labels_out[i] = static_cast<float>(window.label);
  }

  void write_window(const cv::Mat& image, const Window& window, bool mirrored, float* out) const {
    const WindowCrop c = crop_window(window, image.rows, image.cols, mirrored, crop_);
    cv::Mat pixels;
    cv::resize(image(cv::Rect(c.x, c.y, c.width, c.height)), pixels,
               cv::Size(c.out_width, c.out_height));
    if (mirrored) cv::flip(pixels, pixels, 1);
    const Index S = crop_.crop_size;
    std::fill_n(out, kChannels * S * S, 0.0f);
    for (Index k = 0; k < kChannels; ++k)
      for (int h = 0; h < pixels.rows; ++h)
        for (int w = 0; w < pixels.cols; ++w)
          out[(k * S + c.top + h) * S + c.left + w] =
              (static_cast<float>(pixels.ptr(h)[w * kChannels + k]) -
               mean(k, c.top + h, c.left + w)) *
              param_.scale();
  }

  /// Returns the mean at a pixel of the result. A mean image is centred by its width, as in Caffe.
  float mean(Index channel, Index h, Index w) const {
    if (mean_.values.empty()) return 0;
    if (mean_.shape[1] == 1 && mean_.shape[2] == 1) return at(mean_.values, channel);
    const Index H = mean_.shape[1], W = mean_.shape[2], spare = (W - crop_.crop_size) / 2;
    return at(mean_.values, (channel * H + h + spare) * W + w + spare);
  }

  const std::string name_;
  const WindowDataParameter param_;
  const WindowCropOptions crop_;
  const bool mirror_;
  Mean mean_;
  WindowList windows_;
  Index objects_ = 0;               // in a batch
  std::vector<std::string> files_;  // contents of the images, with cache_images
  BatchFeed<std::uint64_t> feed_;   // last: its threads use the other members
};
DOPPIO_REGISTER_LAYER_ON(Device::any, "WindowData", WindowData, .bottoms = exactly(0),
                         .tops = exactly(2), .is_source = true);

}  // namespace
}  // namespace doppio
