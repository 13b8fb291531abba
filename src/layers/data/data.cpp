#include "doppio/registry.hpp"
#include "layers/data/image_layer.hpp"

namespace doppio {
namespace {

/// Images (or other records) from a database, in its order or shuffled, round and round.
///
/// See ImageLayer for the tops. Source: matches Caffe but for the random numbers; shuffle, shards,
/// min_side and on_error are ours.
class Data final : public ImageLayer {
 public:
  explicit Data(const LayerParameter& p)
      : ImageLayer(p, feed_options(p.data_param(), "data_param"), options(p)),
        param_(p.data_param()) {}

 private:
  static ReadOptions options(const LayerParameter& p) {
    ReadOptions options = read_options(p.data_param(), p.transform_param(), "data_param");
    options.rand_skip = 0;  // Caffe ignores it here
    return options;
  }

  std::unique_ptr<ImageSource> open_source() const override {
    check_backend();
    return open_database_source(param_.source(),
                                {.color = transformer().color(), .min_side = read().min_side});
  }

  std::string missing_source() const override {
    return has_database(param_.source()) ? "" : missing_database(param_.source());
  }

  /// The schema's default is LEVELDB, so an absent backend means whichever is there.
  void check_backend() const {
    if (!param_.has_backend()) return;
    const bool lmdb = find_backend(param_.source()) == Backend::lmdb;
    require_field(lmdb == (param_.backend() == DataParameter::LMDB), "data_param.backend",
                  param_.source(), " is ", lmdb ? "an LMDB" : "a LevelDB",
                  " database; write backend: ", lmdb ? "LMDB" : "LEVELDB");
  }

  DataParameter param_;
};
DOPPIO_REGISTER_LAYER_ON(Device::any, "Data", Data, .bottoms = exactly(0), .tops = {1, 2},
                         .is_source = true);

}  // namespace
}  // namespace doppio
