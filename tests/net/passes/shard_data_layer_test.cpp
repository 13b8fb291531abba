#include "net/passes/shard_data_layer.hpp"

#include <google/protobuf/text_format.h>

#include "support/layer_harness.hpp"

namespace doppio {
namespace {

/// Returns the data layer of a shard as text.
std::string part(const std::string& layer, const Shard& shard = {1, 2, 2}) {
  LayerParameter param;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(layer, &param));
  LayerTraits source;
  source.is_source = true;
  return shard_data_layer(param, source, shard).ShortDebugString();
}

TEST(ShardDataLayer, ReadsEverySecondImage) {
  EXPECT_EQ(part("type: 'Data' data_param { batch_size: 6 threads: 1 }"),
            "type: \"Data\" data_param { batch_size: 3 threads: 1 shard: 1 shards: 2 }");
  EXPECT_EQ(part("type: 'ImageData' image_data_param { batch_size: 2 threads: 8 }"),
            "type: \"ImageData\" image_data_param { batch_size: 1 threads: 4 shard: 1 shards: 2 }");
}

TEST(ShardDataLayer, HasItsShareOfThisMachinesThreads) {
  const std::string layer = "type: 'Data' data_param { batch_size: 6 threads: 8 }";
  EXPECT_EQ(part(layer, {1, 2, 1}),
            "type: \"Data\" data_param { batch_size: 3 threads: 8 shard: 1 shards: 2 }");
  EXPECT_EQ(part(layer, {0, 1, 3}),
            "type: \"Data\" data_param { batch_size: 6 threads: 3 shard: 0 shards: 1 }");
}

TEST(ShardDataLayer, OfAShardAsWell) {
  // The layer reads images 2, 5, 8, ..., of which rank 1 of 2 gets 5, 11, 17, ...
  EXPECT_EQ(part("type: 'Data' data_param { batch_size: 6 threads: 1 shard: 2 shards: 3 }"),
            "type: \"Data\" data_param { batch_size: 3 threads: 1 shard: 5 shards: 6 }");
}

TEST(ShardDataLayer, OtherLayersAreAsTheyWere) {
  LayerParameter param;
  param.set_type("Split");
  EXPECT_EQ(shard_data_layer(param, {}, {1, 2}).ShortDebugString(), "type: \"Split\"");
}

}  // namespace
}  // namespace doppio
