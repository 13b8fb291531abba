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
#include "layers/data/batch_feed.hpp"

namespace doppio {

/// In which order images are read, and what damaged ones do.
struct ReadOptions {
  bool shuffle = false;
  std::uint64_t shard = 0, shards = 1;
  Index rand_skip = 0;
  Index min_side = 0;
  bool skip_damaged = false;
  double max_skipped = 0;       // share of the images
  Index height = 0, width = 0;  // of all images before the crop; 0: known when one is read
};

/// The options in a layer's parameters, the field `message` of LayerParameter. Throws: Error.
template <class Parameter>
ReadOptions read_options(const Parameter& p, const TransformationParameter& transform,
                         const std::string& message) {
  require_field(p.shards() > 0 && p.shard() < p.shards(), message + ".shard", "shard ", p.shard(),
                " of ", p.shards(), " shards: shard must be from 0 to shards - 1");
  const unsigned crop = std::max({transform.crop_size(), transform.crop_h(), transform.crop_w()});
  require_field(p.min_side() == 0 || p.min_side() >= crop, message + ".min_side", "min_side ",
                p.min_side(), " is less than crop_size ", crop);
  require_field(p.max_skipped() >= 0 && p.max_skipped() <= 1, message + ".max_skipped",
                "max_skipped ", p.max_skipped(), " is no share; it must be from 0 to 1");
  return {p.shuffle(),    p.shard(),    p.shards(),
          p.rand_skip(),  p.min_side(), p.on_error() == DataParameter::SKIP,
          p.max_skipped()};
}

/// What Data, AnnotatedData and ImageData have in common: images from a source, in its order or
/// shuffled, transformed by transform_param on background threads.
///
/// Tops: data, batch_size * views x C x H x W, the views of an image one after another; labels,
/// batch_size. The first image sets C, H and W; with batch_size 1 and without a crop each image has
/// its own H and W. Which place an image has in the order, and which crop and mirror image it gets,
/// depends on ctx.seed, the layer's name and its number since the start of training, not on
/// threads, batch_size or shards.
class ImageLayer : public Layer, public EpochSource {
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

 protected:
  ImageLayer(const LayerParameter& layer, const FeedOptions& feed, const ReadOptions& read);

  virtual std::unique_ptr<ImageSource> open_source() const = 0;
  /// Why there is no source; empty if there is one.
  virtual std::string missing_source() const = 0;
  /// Writes what the layer knows of an image beside its pixels, of which `view` is shown.
  virtual void write_label(const Image& image, const Transformer::View& view, DataBatch& batch,
                           Index i) const;

  /// True if images whose first one is of bytes are all of bytes, as a rule, so that an accelerator
  /// may transform them.
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
  /// What a thread keeps from image to image.
  struct Worker {
    std::unique_ptr<ImageReader> reader;
    Transformer transformer;
    Shape image, result;  // what the transformer is prepared for, and what it makes of it
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
  const Index known_h_, known_w_;  // of all results; 0: known when an image is read
  const bool any_size_;            // images may differ in size
  Shape first_, first_result_;     // shape of the first image, and of what becomes of it
  Index item_count_ = 0;           // values that the transformer makes of an image
  bool of_bytes_ = false;          // an accelerator makes the values
  Tensor means_;                   // for it
  Random draws_;
  std::mutex mutex_;  // guards what follows
  std::unique_ptr<ImageSource> source_;
  std::vector<Index> order_;  // of the epoch under way, when shuffled
  std::uint64_t order_epoch_ = 0;
  std::set<Index> damaged_;  // places
  std::vector<Worker> workers_;
  BatchFeed<Numbered> feed_;  // last: its threads use the others
};

}  // namespace doppio
