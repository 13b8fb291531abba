#pragma once
#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/buffer.hpp"
#include "core/threads.hpp"
#include "data/image/pixel_batch.hpp"
#include "data/prefetch.hpp"
#include "doppio/extend/layer.hpp"
#include "layers/support/sizes.hpp"

namespace doppio {

/// A batch in preparation. Threads write through the pointers while nothing else uses the tensors.
struct DataBatch {
  Tensor data, labels;
  Buffer<std::uint8_t> pixels;  // instead of data, if an accelerator transforms bytes
  Buffer<PixelView> views;      // one per image then
  bool of_bytes = false;
  std::vector<std::vector<float>> rows;     // per item, if the number of labels varies
  std::vector<std::string> names;           // names or keys of the items, for messages
  std::vector<std::string_view> databases;  // of the items: Record::database
  float* data_out = nullptr;
  float* labels_out = nullptr;
  std::uint8_t* pixels_out = nullptr;
  PixelView* views_out = nullptr;

  void open() {
    labels_out = labels.write_host();
    if (of_bytes) {
      pixels_out = pixels.write_host();
      views_out = views.write_host();
    } else {
      data_out = data.write_host();
    }
  }
  void prefetch_to_device(const Context& ctx) const {
    const auto prefetch_one = [&](const auto& values) {
      if (values.allocated()) values.prefetch_to_device(ctx);
    };
    prefetch_one(labels);
    prefetch_one(data);
    prefetch_one(pixels);
    prefetch_one(views);
  }
  void pin(const Context& ctx) {
    data.pin(ctx);
    labels.pin(ctx);
    pixels.pin(ctx);
    views.pin(ctx);
  }
};

struct FeedOptions {
  Index batch_size = 1;
  Index prefetch = 0;                      // batches to prepare ahead; 0: see batches_ahead()
  Index threads = 0;                       // 0: all cores but one
  std::string batch_field = "batch_size";  // path of the field that batch_size is read from
};

/// Reads the options from field `message` of LayerParameter. Throws: Error if they are invalid.
template <class Parameter>
FeedOptions feed_options(const Parameter& param, const std::string& message) {
  require_field(!param.source().empty(), message + ".source", "source is missing");
  require_field(param.batch_size() > 0, message + ".batch_size", "batch_size must be at least 1");
  require_field(param.prefetch() > 0, message + ".prefetch", "prefetch must be at least 1");
  require_field(param.prefetch() <= 1024, message + ".prefetch", "prefetch must be at most 1024");
  require_field(param.threads() <= 1024, message + ".threads", "threads must be at most 1024");
  return {param.batch_size(), param.has_prefetch() ? param.prefetch() : 0, param.threads(),
          message + ".batch_size"};
}

/// Returns how many batches of `batch_bytes` to prepare ahead: options.prefetch if it is set, else
/// as many as fit in 64 MiB, from 1 to 4. An accelerator needs at least 2: while it uses one batch,
/// the next is copied to it, and the one after that is prepared.
///
/// Memory: including the batch in use, 2 ahead means 3 page-locked batches on the host and 3 on the
/// device. AlexNet's batches of 256 take 40 MB as bytes (119 MB in all), as floats four times as
/// much; `prefetch: 1` saves a third of it, but copies do not overlap with computation.
inline Index batches_ahead(const FeedOptions& options, Index batch_bytes, bool accelerator) {
  constexpr Index kTargetBytes = Index{64} << 20, kMaxBatches = 4;
  if (options.prefetch > 0) return options.prefetch;
  return std::clamp<Index>(kTargetBytes / std::max<Index>(1, batch_bytes), accelerator ? 2 : 1,
                           kMaxBatches);
}

/// The part of a data layer that prepares batches ahead on threads and shows them in the tops. The
/// layer makes items by their number since the start of training, so the batches depend neither on
/// the threads nor on where a run was interrupted.
template <class Item>
class BatchFeed {
 public:
  struct Steps {
    std::function<Item(std::uint64_t number)> claim;  // never runs concurrently
    std::function<void(int worker, const Item&, DataBatch&, Index i)> make;
  };

  explicit BatchFeed(const FeedOptions& options)
      : options_(options), items_shown_(options.batch_size) {}

  int workers() const { return worker_count(static_cast<int>(options_.threads)); }

  /// Sets the shape of one item: `rows` x C x H x W. `of_bytes`: items are bytes and views, which
  /// the layer transforms to data.
  void set_item(const Context& ctx, const Shape& shape, Index rows, bool of_bytes = false) {
    data_shape_ = checked_shape({options_.batch_size * rows, shape[0], shape[1], shape[2]},
                                options_.batch_field);
    of_bytes_ = of_bytes;
    accelerator_ = ctx.accelerator() != nullptr;
  }
  bool has_item() const { return data_shape_.axes() > 0; }

  void reshape(Tops top) const {
    if (held_) return;  // they show a batch, whose shape may differ
    top[0]->reshape(shown_part(data_shape_));
    if (top.size() > 1) top[1]->reshape({items_shown_});
  }

  Index batch_size() const { return options_.batch_size; }
  /// Shows only the first `items` of each batch, starting with the next.
  void show_first(Index items) { items_shown_ = items; }

  /// Shows the next batch, and starts copying the one after it to ctx's device if it is ready, so
  /// that the copy overlaps with computation. `start()` returns the Steps when threads start.
  template <class Start>
  void show_next(const Context& ctx, Tops top, Start start) {
    if (!ahead_) begin(ctx, start());
    if (held_) {
      held_->open();
      held_ = nullptr;
      ahead_->release();
    }
    held_ = &ahead_->take();
    const Shape shape = shown_part(of_bytes_ ? data_shape_ : held_->data.shape());
    if (top[0]->shape() != shape) {
      top[0]->data = Tensor();
      top[0]->reshape(shape);
    }
    if (!of_bytes_) top[0]->data.share(held_->data);
    if (top.size() > 1) {
      top[1]->reshape({items_shown_});
      top[1]->data.share(held_->labels);
    }
    shown_ += static_cast<std::uint64_t>(options_.batch_size);
    held_->prefetch_to_device(ctx);
    if (const DataBatch* next = ahead_->peek()) next->prefetch_to_device(ctx);
  }

  /// The batch that the tops show; null before the first.
  const DataBatch* shown() const { return held_; }

  Cursor cursor() const { return {shown_}; }
  void seek(const Cursor& cursor) {
    waited_before_ = wait_seconds();
    held_ = nullptr;
    ahead_.reset();
    shown_ = cursor.records;
  }

  Scratch scratch() const {
    const Index labels = options_.batch_size * static_cast<Index>(sizeof(float));
    return {.held = ahead() * (data_bytes() + labels)};  // the tops show one more batch
  }
  double wait_seconds() const { return waited_before_ + (ahead_ ? ahead_->waited_seconds() : 0); }
  std::string name(Index item) const {
    const bool known = held_ && item >= 0 && item < options_.batch_size;
    return known ? held_->names[static_cast<std::size_t>(item)] : std::string();
  }

 private:
  using Ahead = Prefetcher<Item, DataBatch>;

  /// The shape of the items that the tops show, in a batch of shape `batch`.
  Shape shown_part(const Shape& batch) const {
    return batch.with(0, batch[0] / options_.batch_size * items_shown_);
  }

  /// Bytes of a batch, without its labels.
  Index data_bytes() const {
    if (of_bytes_)
      return data_shape_.count() + data_shape_[0] * static_cast<Index>(sizeof(PixelView));
    return data_shape_.count() * static_cast<Index>(sizeof(float));
  }

  Index ahead() const { return batches_ahead(options_, data_bytes(), accelerator_); }

  void begin(const Context& ctx, Steps steps) {
    std::vector<DataBatch> slots(static_cast<std::size_t>(ahead() + 1));
    for (DataBatch& batch : slots) {
      batch.pin(ctx);
      batch.of_bytes = of_bytes_;
      if (of_bytes_) {
        batch.pixels.resize(data_shape_.count());
        batch.views.resize(data_shape_[0]);
      } else {
        batch.data.reshape(data_shape_);
      }
      batch.labels.reshape({options_.batch_size});
      batch.names.resize(static_cast<std::size_t>(options_.batch_size));
      batch.databases.resize(static_cast<std::size_t>(options_.batch_size));
      batch.rows.resize(static_cast<std::size_t>(options_.batch_size));
      batch.open();
    }
    const auto claim = [next = shown_, claim = std::move(steps.claim)]() mutable {
      return claim(next++);
    };
    ahead_ = std::make_unique<Ahead>(std::move(slots), options_.batch_size, workers(),
                                     typename Ahead::Steps{claim, std::move(steps.make)});
  }

  const FeedOptions options_;
  Index items_shown_;  // of each batch
  Shape data_shape_;
  bool of_bytes_ = false, accelerator_ = false;
  std::uint64_t shown_ = 0;  // items
  double waited_before_ = 0;
  DataBatch* held_ = nullptr;     // the batch that the tops show
  std::unique_ptr<Ahead> ahead_;  // last: its threads use the other members
};

}  // namespace doppio
