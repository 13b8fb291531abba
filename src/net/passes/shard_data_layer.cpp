#include "net/passes/shard_data_layer.hpp"

#include "core/threads.hpp"
#include "doppio/error.hpp"

namespace doppio {

namespace {

template <class Parameter>
void shard_batch(Parameter& param, const std::string& message, const Shard& shard) {
  const auto count = static_cast<unsigned>(shard.count);
  const unsigned batch = param.batch_size(), less = batch - batch % count;
  require_field(batch == less, message + ".batch_size", "batch_size ", batch,
                ", that of all devices together, cannot be divided evenly among ", count, "; ",
                less > 0 ? str(less, " or ") : "", less + count, " can");
  param.set_batch_size(batch / count);
  const int threads = worker_count(static_cast<int>(param.threads()));
  param.set_threads(static_cast<unsigned>((threads - 1) / shard.local + 1));
  param.set_shard(param.shard() + param.shards() * static_cast<unsigned>(shard.index));
  param.set_shards(param.shards() * count);
}

}  // namespace

LayerParameter shard_data_layer(LayerParameter layer, const LayerTraits& traits,
                                const Shard& shard) {
  require_field(shard.count == 1 || layer.loss_param().normalization() != LossParameter::NONE,
                "loss_param.normalization",
                "normalization: NONE adds up a part of the batch on each of ", shard.count,
                " devices; use BATCH_SIZE and a loss_weight of the batch size");
  if (!traits.is_source) return layer;
  if (layer.type() == "Data" || layer.type() == "AnnotatedData")
    shard_batch(*layer.mutable_data_param(), "data_param", shard);
  else if (layer.type() == "ImageData")
    shard_batch(*layer.mutable_image_data_param(), "image_data_param", shard);
  else if (shard.count > 1)
    throw Error(str("its batches cannot be divided among ", shard.count,
                    " devices; only those of Data, ImageData and AnnotatedData layers can"),
                {}, "type");
  return layer;
}

}  // namespace doppio
