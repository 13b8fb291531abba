#include "doppio/memory_data.hpp"

#include <algorithm>

#include "data/image/transformer.hpp"
#include "doppio.pb.h"
#include "doppio/extend/epoch.hpp"
#include "doppio/extend/registry.hpp"
#include "layers/support/sizes.hpp"

namespace doppio {
namespace {

/// Batches of the data passed to set_memory_data() or set_memory_images().
///
/// Tops: data, batch_size x channels x height x width; labels, batch_size x 1 x 1 x 1.
/// Throws: Error in a forward pass before data is set. Source: matches Caffe.
class MemoryData final : public Layer, public EpochSource {
 public:
  explicit MemoryData(const LayerParameter& p)
      : stream_(stream_of(p.name())),
        batch_size_(p.memory_data_param().batch_size()),
        items_shown_(batch_size_),
        item_(checked_shape({p.memory_data_param().channels(), p.memory_data_param().height(),
                             p.memory_data_param().width()},
                            "memory_data_param.channels")),
        transformer_(p.transform_param(), p.phase() == TRAIN) {
    require_field(batch_size_ > 0 && item_.count() > 0, "memory_data_param",
                  "batch_size, channels, height and width must be given, at least 1 each");
    require_field(transformer_.views() == 1, "transform_param.views",
                  "MemoryData gives one view of an image");
  }

  void reshape(Context&, Bottoms, Tops top) override {
    top[0]->reshape(checked_shape({items_shown_, item_[0], item_[1], item_[2]},
                                  "memory_data_param.batch_size"));
    top[1]->reshape({items_shown_, 1, 1, 1});
  }

  void forward(Context&, Bottoms, Tops top) override {
    const auto n = static_cast<Index>(labels_.size());
    require(n > 0, "no data was given; call set_memory_data() first");
    const Index values = item_.count();
    float* data = top[0]->data.write_host();
    float* labels = top[1]->data.write_host();
    for (Index i = 0; i < items_shown_; ++i, ++records_) {
      const auto item = static_cast<Index>(records_ % static_cast<std::uint64_t>(n));
      std::copy_n(data_.data() + item * values, values, data + i * values);
      labels[i] = labels_[static_cast<std::size_t>(item)];
    }
    records_ += static_cast<std::uint64_t>(batch_size_ - items_shown_);
  }

  Cursor cursor() const override { return {records_}; }
  void seek(const Cursor& cursor) override { records_ = cursor.records; }
  std::optional<Epoch> epoch(bool) override {
    if (labels_.empty()) return std::nullopt;
    return Epoch{static_cast<Index>(labels_.size()), batch_size_};
  }
  void show_first(Index records) override { items_shown_ = records; }

  void set(std::vector<float> data, std::vector<float> labels) {
    const auto n = static_cast<Index>(labels.size());
    require(n > 0 && n % batch_size_ == 0, n, " items are not a multiple of batch_size ",
            batch_size_);
    require(static_cast<Index>(data.size()) == n * item_.count(), data.size(), " values for ", n,
            " items of ", item_.text());
    data_ = std::move(data);
    labels_ = std::move(labels);
    records_ = 0;
  }

  void set(const Context& ctx, std::span<const MemoryImage> images) {
    std::vector<float> data(images.size() * static_cast<std::size_t>(item_.count())), labels;
    for (const MemoryImage& image : images) {
      const Shape shape{image.channels, image.height, image.width};
      const Shape result = transformer_.prepare(shape);
      require(result == item_, "image ", labels.size(), " becomes ", result.text(),
              ", and the layer hands out ", item_.text());
      const Image pixels{.channels = image.channels,
                         .height = image.height,
                         .width = image.width,
                         .label = image.label,
                         .bytes = image.pixels,
                         .channel_step = 1,
                         .row_step = image.width * image.channels,
                         .pixel_step = image.channels};
      float* out = data.data() + static_cast<Index>(labels.size()) * item_.count();
      transformer_.apply(pixels, Random{ctx.seed, stream_, images_++}, out);
      labels.push_back(static_cast<float>(image.label));
    }
    set(std::move(data), std::move(labels));
  }

 private:
  std::uint32_t stream_;
  Index batch_size_, items_shown_;
  Shape item_;
  Transformer transformer_;
  std::vector<float> data_, labels_;
  std::uint64_t images_ = 0;   // transformed so far
  std::uint64_t records_ = 0;  // shown so far
};
DOPPIO_REGISTER_LAYER_ON(Device::any, "MemoryData", MemoryData, .bottoms = exactly(0),
                         .tops = exactly(2), .is_source = true);

MemoryData& memory_data(Layer& layer) {
  auto* const memory = dynamic_cast<MemoryData*>(&layer);
  require(memory != nullptr, "the layer is not of type MemoryData");
  return *memory;
}

}  // namespace

void set_memory_data(Layer& layer, std::vector<float> data, std::vector<float> labels) {
  memory_data(layer).set(std::move(data), std::move(labels));
}

void set_memory_images(Layer& layer, const Context& ctx, std::span<const MemoryImage> images) {
  memory_data(layer).set(ctx, images);
}

}  // namespace doppio
