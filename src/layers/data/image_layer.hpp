#pragma once
#include <algorithm>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "data/image/image_source.hpp"
#include "data/image/transformer.hpp"
#include "doppio.pb.h"
#include "doppio/extend/epoch.hpp"
#include "doppio/extend/fingerprint.hpp"
#include "layers/data/batch_feed.hpp"

namespace doppio {

/// The order in which images are read, and how damaged ones are handled.
struct ReadOptions {
  bool shuffle = false;
  std::uint64_t shard = 0, shards = 1;
  Index rand_skip = 0;
  Index min_side = 0;
  bool skip_damaged = false;
  double max_skipped = 0;       // fraction of the images
  Index height = 0, width = 0;  // of all images before the crop; 0: unknown until one is read
};

/// Reads the options from field `message` of LayerParameter. Throws: Error if they are invalid.
template <class Parameter>
ReadOptions read_options(const Parameter& p, const TransformationParameter& transform,
                         const std::string& message) {
  require_field(p.shards() > 0 && p.shard() < p.shards(), message + ".shard", "shard ", p.shard(),
                " of ", p.shards(), " shards: shard must be from 0 to shards - 1");
  const unsigned crop = std::max({transform.crop_size(), transform.crop_h(), transform.crop_w()});
  require_field(p.min_side() == 0 || p.min_side() >= crop, message + ".min_side", "min_side ",
                p.min_side(), " is less than crop_size ", crop);
  require_field(p.max_skipped() >= 0 && p.max_skipped() <= 1, message + ".max_skipped",
                "max_skipped ", p.max_skipped(), " is out of range; it must be from 0 to 1");
  return {p.shuffle(),    p.shard(),    p.shards(),
          p.rand_skip(),  p.min_side(), p.on_error() == DataParameter::SKIP,
          p.max_skipped()};
}

/// Base of Data, AnnotatedData and ImageData: reads images from a source, in its order or shuffled,
/// and transforms them by transform_param on background threads.
///
/// Tops: data, batch_size * views x C x H x W, the views of an image one after another; labels,
/// batch_size. The first image sets C, H and W; with batch_size 1 and without a crop each image has
/// its own H and W. The order of images, and the crop and mirroring of each, depend on ctx.seed,
/// the layer's name and the image's number since the start of training, not on threads, batch_size
/// or shards.
class ImageLayer : public Layer, public EpochSource, public FingerprintedSource {
 public:
  void reshape(Context& ctx, Bottoms, Tops top) override;
  void forward(Context& ctx, Bottoms, Tops top) override;
  Cursor cursor() const override { return feed_.cursor(); }
  void seek(const Cursor& cursor) override { feed_.seek(cursor); }
  Scratch scratch() const override { return feed_.scratch(); }
  double input_wait_seconds() const override { return feed_.wait_seconds(); }
  std::string item_name(Index item) const override;
  std::optional<Epoch> epoch(bool count) override;
  void show_first(Index records) override { feed_.show_first(records); }
  std::string fingerprint() override;

 protected:
  ImageLayer(const LayerParameter& layer, const FeedOptions& feed, const ReadOptions& read);

  virtual std::unique_ptr<ImageSource> open_source() const = 0;
  /// Returns why there is no source; empty if there is one.
  virtual std::string missing_source() const = 0;
  /// Writes the label and other data of item i except its pixels; `view` is the part shown.
  virtual void write_label(const Image& image, const Transformer::View& view, DataBatch& batch,
                           Index i) const;

  /// Returns whether all images are usually bytes if the first one is, so that an accelerator may
  /// transform them.
  virtual bool keeps_kind() const { return false; }

  /// Throws: Error that names `what` if a float cannot hold the number.
  static float exact_float(int number, const char* what);

  const Transformer& transformer() const { return transformer_; }
  const ReadOptions& read() const { return read_; }
  /// The batch that the tops show; null before the first.
  const DataBatch* shown() const { return feed_.shown(); }

 private:
  /// An image and its number in the order that all shards share.
  struct Numbered {
    SourceItem item;
    std::uint64_t number;
  };
  /// State that a thread keeps between images.
  struct Worker {
    std::unique_ptr<ImageReader> reader;
    Transformer transformer;
    Shape image, result;  // input and output of the prepared transformer
  };

  template <class Use>
  void use_good(Numbered image, Use use);
  void open(const Context& ctx);
  BatchFeed<Numbered>::Steps start(const Context& ctx);
  Numbered claim(std::uint64_t shown);
  SourceItem pick(std::uint64_t number);
  void make(Worker& worker, const Numbered& image, DataBatch& batch, Index i);
  static void resize_for(Worker& worker, const Shape& image, DataBatch& batch);
  SourceItem replacement(const Numbered& damaged, const Error& error);

  const std::string name_;
  const ReadOptions read_;
  Transformer transformer_;
  const Index known_h_, known_w_;  // of all results; 0: unknown until one is read
  const bool any_size_;            // images may differ in size
  Shape first_, first_result_;     // shapes of the first image and of its result
  Index item_count_ = 0;           // values of a transformed image
  bool of_bytes_ = false;          // an accelerator transforms the bytes
  Tensor means_;                   // for the accelerator
  Random draws_;
  std::mutex mutex_;  // guards what follows
  std::unique_ptr<ImageSource> source_;
  std::vector<Index> order_;  // of the current epoch, if shuffled
  std::uint64_t order_epoch_ = 0;
  std::set<Index> damaged_;  // indices in the source
  std::vector<Worker> workers_;
  BatchFeed<Numbered> feed_;  // last: its threads use the other members
};

}  // namespace doppio
