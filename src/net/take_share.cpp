#include "net/take_share.hpp"

#include "core/worker_count.hpp"
#include "doppio/error.hpp"

namespace doppio {

namespace {

template <class Parameter>
void take(Parameter& param, const std::string& message, const Share& share) {
  const auto ranks = static_cast<unsigned>(share.ranks), rank = static_cast<unsigned>(share.rank);
  const unsigned batch = param.batch_size(), less = batch - batch % ranks;
  require_field(batch == less, message + ".batch_size", "batch_size ", batch,
                ", that of all devices together, cannot be shared out evenly among ", ranks, "; ",
                less > 0 ? str(less, " or ") : "", less + ranks, " can");
  param.set_batch_size(batch / ranks);
  param.set_threads(
      static_cast<unsigned>(worker_count(static_cast<int>(param.threads())) - 1) / ranks + 1);
  param.set_shard(param.shard() + param.shards() * rank);
  param.set_shards(param.shards() * ranks);
}

}  // namespace

LayerParameter take_share(LayerParameter layer, const LayerTraits& traits, const Share& share) {
  require_field(layer.loss_param().normalization() != LossParameter::NONE,
                "loss_param.normalization",
                "normalization: NONE adds up a part of the batch on each of ", share.ranks,
                " devices; use BATCH_SIZE and a loss_weight of the batch size");
  if (!traits.is_source) return layer;
  if (layer.type() == "Data" || layer.type() == "AnnotatedData")
    take(*layer.mutable_data_param(), "data_param", share);
  else if (layer.type() == "ImageData")
    take(*layer.mutable_image_data_param(), "image_data_param", share);
  else
    throw Error(str("its batches cannot be shared out among ", share.ranks,
                    " devices, as those of Data, ImageData and AnnotatedData layers can"),
                {}, "type");
  return layer;
}

}  // namespace doppio
