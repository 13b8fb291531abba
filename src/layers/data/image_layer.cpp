#include "layers/data/image_layer.hpp"

#include <glog/logging.h>

#include <algorithm>
#include <cmath>

#include "data/shuffle.hpp"
#include "math/philox.hpp"

namespace doppio {

ImageLayer::ImageLayer(const LayerParameter& layer, const FeedOptions& feed,
                       const ReadOptions& read)
    : name_(layer.name()),
      read_(read),
      transformer_(layer.transform_param(), layer.phase() == TRAIN),
      known_h_(transformer_.crop_height() > 0 ? transformer_.crop_height() : read.height),
      known_w_(transformer_.crop_width() > 0 ? transformer_.crop_width() : read.width),
      any_size_(feed.batch_size == 1 && known_h_ == 0),
      feed_(feed) {}

void ImageLayer::reshape(Context& ctx, Bottoms, Tops top) {
  if (!source_) {
    const std::string missing = ctx.dry_run && known_h_ > 0 ? missing_source() : std::string();
    if (missing.empty()) {
      open(ctx);
    } else if (!feed_.has_item()) {
      LOG(INFO) << missing << "; assuming images of 3 x " << known_h_ << " x " << known_w_;
      feed_.set_item(ctx, {3, known_h_, known_w_}, transformer_.views());
    }
  }
  feed_.reshape(top);
}

/// Calls `use` for the image or, if damaged ones are skipped, for its first good replacement.
template <class Use>
void ImageLayer::use_good(Numbered image, Use use) {
  for (;;) {
    try {
      with_context(name_context([&] { return source_->name(image.item); }), [&] { use(image); });
      return;
    } catch (const Error& e) {
      if (!read_.skip_damaged) throw;
      image.item = replacement(image, e);
    }
  }
}

void ImageLayer::open(const Context& ctx) {
  transformer_.read_files();
  source_ = open_source();
  const std::unique_ptr<ImageReader> reader = source_->reader();
  try {
    SourceItem good;
    use_good({source_->in_order(0), 0}, [&](const Numbered& first) {
      const Image image = reader->read(first.item, {ctx.seed, stream_of(name_)});
      first_ = image.shape();
      of_bytes_ = ctx.accelerator() && image.bytes && keeps_kind() && !any_size_;
      good = first.item;
    });
    // Outside use_good(): a mean file of another size does not mean that the image is damaged.
    try {
      first_result_ = transformer_.prepare(first_);
    } catch (const Error& e) {
      if (e.field() == "transform_param.mean_file") throw;
      throw Error(source_->name(good) + ": " + e.message(), e.where(), e.field());
    }
    item_count_ = transformer_.views() * first_result_.count();
    feed_.set_item(ctx, first_result_, transformer_.views(), of_bytes_);
    if (const std::vector<float>& means = transformer_.means(); of_bytes_ && !means.empty()) {
      means_.reshape({static_cast<Index>(means.size())});
      std::copy(means.begin(), means.end(), means_.write_host());
    }
  } catch (const Error&) {
    source_.reset();
    throw;
  }
}

std::string ImageLayer::item_name(Index item) const {
  const std::string key = feed_.name(item);
  if (key.empty()) return {};
  const std::string_view database = feed_.shown()->databases[static_cast<std::size_t>(item)];
  return source_->name({{.key = key, .value = {}, .database = database}});
}

std::optional<Epoch> ImageLayer::epoch(bool count) {
  const std::lock_guard lock(mutex_);
  const Index size = !source_ ? 0 : count ? source_->size() : source_->known_size();
  if (size == 0) return std::nullopt;
  const auto shard = static_cast<Index>(read_.shard), shards = static_cast<Index>(read_.shards);
  return Epoch{std::max<Index>(1, (size - shard + shards - 1) / shards), feed_.batch_size()};
}

std::string ImageLayer::fingerprint() {
  const std::lock_guard lock(mutex_);
  if (!source_) return {};
  const std::string files = transformer_.fingerprint();
  return source_->fingerprint() + (files.empty() ? "" : ", " + files);
}

void ImageLayer::forward(Context& ctx, Bottoms, Tops top) {
  feed_.show_next(ctx, top, [&] { return start(ctx); });
  if (!of_bytes_) return;
  const DataBatch& batch = *feed_.shown();
  transform_pixels(*ctx.accelerator(), transformer_.rest(top[0]->shape()[0], batch.pixels.read(ctx),
                                                         batch.views.read(ctx), means_.read(ctx),
                                                         top[0]->data.write(ctx)));
}

BatchFeed<ImageLayer::Numbered>::Steps ImageLayer::start(const Context& ctx) {
  draws_ = Random{ctx.seed, stream_of(name_)};
  order_.clear();
  workers_.clear();
  for (int i = 0; i < feed_.workers(); ++i)
    workers_.push_back({source_->reader(), transformer_, first_, first_result_});
  return {[this](std::uint64_t shown) { return claim(shown); },
          [this](int worker, const Numbered& image, DataBatch& batch, Index i) {
    make(workers_[static_cast<std::size_t>(worker)], image, batch, i);
          }};
}

ImageLayer::Numbered ImageLayer::claim(std::uint64_t shown) {
  const std::lock_guard lock(mutex_);
  constexpr Index kSkipDraw = 0;
  const Random skip{draws_.seed, stream_of(name_ + "/rand_skip")};
  const std::uint64_t skipped =
      read_.rand_skip > 0 ? static_cast<std::uint64_t>(skip.below(read_.rand_skip, kSkipDraw)) : 0;
  const std::uint64_t number = skipped + shown * read_.shards + read_.shard;
  Numbered image{pick(number), number};
  const auto size = static_cast<std::uint64_t>(source_->known_size());
  LOG_IF(INFO, size > 0 && (number + read_.shards) / size != number / size)
      << "Restarting data prefetching from start.";
  return image;
}

/// Returns image `number` of the order that all shards share.
SourceItem ImageLayer::pick(std::uint64_t number) {
  if (!read_.shuffle) return source_->in_order(number);
  const auto size = static_cast<std::uint64_t>(source_->size());
  const std::uint64_t epoch = number / size;
  if (order_.empty() || epoch != order_epoch_) {
    order_ = permutation(source_->size(), Random{draws_.seed, stream_of(name_ + "/order"), epoch});
    order_epoch_ = epoch;
  }
  return source_->at(order_[number % size]);
}

void ImageLayer::make(Worker& worker, const Numbered& image, DataBatch& batch, Index i) {
  use_good(image, [&](const Numbered& good) {
    Random draws = draws_;
    draws.pass = image.number;
    const Image pixels = worker.reader->read(good.item, draws);
    if (any_size_) resize_for(worker, pixels.shape(), batch);
    const Transformer::View view =
        of_bytes_ ? worker.transformer.cut(pixels, draws, batch.pixels_out + i * item_count_,
                                           batch.views_out + i * worker.transformer.views())
                  : worker.transformer.apply(pixels, draws, batch.data_out + i * item_count_);
    write_label(pixels, view, batch, i);
    batch.names[static_cast<std::size_t>(i)] = good.item.record.key;
    batch.databases[static_cast<std::size_t>(i)] = good.item.record.database;
  });
}

void ImageLayer::write_label(const Image& image, const Transformer::View&, DataBatch& batch,
                             Index i) const {
  batch.labels_out[i] = exact_float(image.label, "label");
}

float ImageLayer::exact_float(int number, const char* what) {
  constexpr int kExactFloats = 1 << 24;  // larger ones would be rounded
  require(number >= -kExactFloats && number <= kExactFloats, what, " ", number,
          " is too large, at most ", kExactFloats, " is possible");
  return static_cast<float>(number);
}

/// Resizes a batch of one image to that image's size. Another worker may have used the batch for an
/// image of another size.
void ImageLayer::resize_for(Worker& worker, const Shape& image, DataBatch& batch) {
  if (image != worker.image) {
    worker.result = worker.transformer.prepare(image);
    worker.image = image;
  }
  const Shape& result = worker.result;
  const Shape wanted{worker.transformer.views(), result[0], result[1], result[2]};
  if (batch.data.shape() == wanted) return;
  batch.data.reshape(wanted);
  batch.open();
}

/// Returns the image that replaces a damaged one. Throws: Error if too many are damaged.
SourceItem ImageLayer::replacement(const Numbered& damaged, const Error& error) {
  const std::lock_guard lock(mutex_);
  const Index size = source_->size();
  const Index known = damaged.item.place;
  const Index place =
      known >= 0 ? known : static_cast<Index>(damaged.number % static_cast<std::uint64_t>(size));
  if (damaged_.insert(place).second) LOG(WARNING) << "skipped " << error.what();
  const auto limit = static_cast<Index>(std::ceil(read_.max_skipped * static_cast<double>(size)));
  const auto count = static_cast<Index>(damaged_.size());
  require(count < size, "none of ", size, " images can be used; the last one: ", error.message());
  require(count <= limit, count, " of ", size, " images cannot be used, and ",
          "max_skipped allows ", limit, "; the last one: ", error.message());
  return source_->at((place + 1) % size);
}

}  // namespace doppio
