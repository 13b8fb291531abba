#include "net/take_share.hpp"

#include "doppio/error.hpp"

namespace doppio {

namespace {

template <class Parameter>
void take(Parameter& param, const std::string& message, const Share& share) {
  const auto ranks = static_cast<unsigned>(share.ranks), rank = static_cast<unsigned>(share.rank);
  require_field(param.batch_size() % ranks == 0, message + ".batch_size", "batch_size ",
                param.batch_size(), ", that of all devices together, cannot be shared out evenly ",
                "among ", ranks);
  param.set_batch_size(param.batch_size() / ranks);
  param.set_shard(param.shard() + param.shards() * rank);
  param.set_shards(param.shards() * ranks);
}

}  // namespace

LayerParameter take_share(LayerParameter layer, const Share& share) {
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
