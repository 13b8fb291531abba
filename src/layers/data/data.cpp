#include <glog/logging.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "data/lmdb.hpp"
#include "data/prefetch.hpp"
#include "data/transformer.hpp"
#include "doppio.pb.h"
#include "doppio/registry.hpp"

namespace doppio {
namespace {

/// A record on its way to a worker, and its number since the start of training.
struct NumberedRecord {
  Record record;
  std::uint64_t number;
};

/// A batch being made; the pointers let workers write while nobody else may look at the tensors.
struct DataBatch {
  Tensor data, labels;
  float* data_out = nullptr;
  float* labels_out = nullptr;

  void open() {
    data_out = data.write_host();
    labels_out = labels.write_host();
  }
};

/// Images (or other records) from a database, in its order and round and round, transformed by
/// transform_param on background threads.
///
/// Tops: data, batch_size * views x C x H x W, the views of an image one after another; labels,
/// batch_size. The first record sets C, H and W. Which
/// crop and mirror image a record gets depends on ctx.seed, the layer's name and how many records
/// came before it, not on threads or batch_size. Source: matches Caffe but for the random numbers.
class Data final : public Layer {
 public:
  explicit Data(const LayerParameter& p)
      : name_(p.name()),
        param_(p.data_param()),
        crop_size_(p.transform_param().crop_size()),
        transformer_(p.transform_param(), p.phase() == TRAIN),
        batch_size_(param_.batch_size()) {
    require_field(!param_.source().empty(), "data_param.source", "source is missing");
    require_field(batch_size_ > 0, "data_param.batch_size", "batch_size must be at least 1");
    require_field(param_.prefetch() > 0, "data_param.prefetch", "prefetch must be at least 1");
    require_field(param_.threads() <= 1024, "data_param.threads", "threads must be at most 1024");
  }

  void reshape(Context& ctx, Bottoms, Tops top) override {
    if (!reader_ && !guess_shape(ctx)) open();
    top[0]->reshape(data_shape());
    if (top.size() > 1) top[1]->reshape({batch_size_});
  }

  void forward(Context& ctx, Bottoms, Tops top) override {
    if (!prefetcher_) start(ctx);
    if (held_) {
      held_->open();
      held_ = nullptr;
      prefetcher_->release();
    }
    held_ = &prefetcher_->take();
    top[0]->data.share(held_->data);
    if (top.size() > 1) top[1]->data.share(held_->labels);
    records_ += static_cast<std::uint64_t>(batch_size_);
  }

  Cursor cursor() const override { return {records_}; }

  void seek(const Cursor& cursor) override {
    waited_before_ = input_wait_seconds();
    held_ = nullptr;
    prefetcher_.reset();
    records_ = cursor.records;
  }

  Scratch scratch() const override {
    const Index batch = (data_shape().count() + batch_size_) * static_cast<Index>(sizeof(float));
    return {.held = batches_ahead() * batch};  // one more batch is what the tops show
  }

  double input_wait_seconds() const override {
    return waited_before_ + (prefetcher_ ? prefetcher_->waited_seconds() : 0);
  }

 private:
  using Ahead = Prefetcher<NumberedRecord, DataBatch>;

  bool guess_shape(const Context& ctx) {
    if (!ctx.dry_run || crop_size_ == 0 || is_lmdb(param_.source())) return false;
    LOG(INFO) << missing_database(param_.source()) << "; assuming images of 3 x " << crop_size_
              << " x " << crop_size_;
    item_ = {3, crop_size_, crop_size_};
    return true;
  }

  void open() {
    check_backend();
    auto reader = std::make_unique<LmdbReader>(param_.source());
    DatumReader datum(transformer_.color());
    const Record first = reader->next();
    naming_record(param_.source(), first,
                  [&] { item_ = transformer_.prepare(datum.read(first.value).shape()); });
    reader_ = std::move(reader);
  }

  Shape data_shape() const {
    return {batch_size_ * transformer_.views(), item_[0], item_[1], item_[2]};
  }

  /// The schema's default is LEVELDB, so an absent backend means whichever is there.
  void check_backend() const {
    const bool asked = param_.has_backend() && param_.backend() == DataParameter::LEVELDB;
    const bool is_leveldb = std::filesystem::exists(param_.source() + "/CURRENT");
    if (is_lmdb(param_.source()))
      require_field(!asked, "data_param.backend", param_.source(),
                    " is an LMDB database; write backend: LMDB");
    else
      require_field(!asked && !is_leveldb, "data_param.backend",
                    "LevelDB is not supported yet; make ", param_.source(),
                    " again as LMDB with `doppio convert`, and write backend: LMDB");
  }

  /// `prefetch` if it is given, else as many large batches as are worth their memory.
  Index batches_ahead() const {
    constexpr Index kEnoughFloats = Index{16} << 20;
    const Index most = kEnoughFloats / std::max<Index>(1, data_shape().count());
    const Index asked = param_.prefetch();
    return param_.has_prefetch() ? asked : std::clamp<Index>(most, 1, asked);
  }

  void start(const Context& ctx) {
    std::vector<DataBatch> slots(static_cast<std::size_t>(batches_ahead() + 1));
    for (DataBatch& batch : slots) {
      batch.data.reshape(data_shape());
      batch.labels.reshape({batch_size_});
      batch.open();
    }
    const int workers = worker_count(static_cast<int>(param_.threads()));
    decoders_.clear();
    for (int i = 0; i < workers; ++i) decoders_.emplace_back(transformer_.color());
    reader_->seek(static_cast<Index>(records_ % static_cast<std::uint64_t>(reader_->size())));
    next_ = records_;
    const Random random{ctx.seed, stream_of(name_)};
    const auto make_item =
        [this, random](int worker, const NumberedRecord& item, DataBatch& batch, Index i) {
      make(decoders_[static_cast<std::size_t>(worker)], item, random, batch, i);
    };
    prefetcher_ = std::make_unique<Ahead>(std::move(slots), batch_size_, workers,
                                          Ahead::Steps{[this] { return claim(); }, make_item});
  }

  NumberedRecord claim() {
    const NumberedRecord item{reader_->next(), next_++};
    LOG_IF(INFO, reader_->position() == 0) << "Restarting data prefetching from start.";
    return item;
  }

  void make(DatumReader& decoder, const NumberedRecord& item, Random random, DataBatch& batch,
            Index i) const {
    constexpr int kExactFloats = 1 << 24;  // beyond, labels would be rounded
    naming_record(param_.source(), item.record, [&] {
      const Image image = decoder.read(item.record.value);
      require(std::abs(image.label) <= kExactFloats, "label ", image.label,
              " is too large, at most ", kExactFloats, " is possible");
      random.pass = item.number;
      transformer_.apply(image, random, batch.data_out + i * transformer_.views() * item_.count());
      batch.labels_out[i] = static_cast<float>(image.label);
    });
  }

  std::string name_;
  DataParameter param_;
  Index crop_size_;
  Transformer transformer_;
  Index batch_size_;
  Shape item_;
  std::unique_ptr<LmdbReader> reader_;
  std::vector<DatumReader> decoders_;  // one per worker
  std::uint64_t records_ = 0;          // handed out
  std::uint64_t next_ = 0;             // number of the record that is claimed next
  double waited_before_ = 0;
  DataBatch* held_ = nullptr;          // what the tops show
  std::unique_ptr<Ahead> prefetcher_;  // last: uses the others
};
DOPPIO_REGISTER_LAYER_ON(Device::any, "Data", Data, .bottoms = exactly(0), .tops = {1, 2},
                         .is_source = true);

}  // namespace
}  // namespace doppio
