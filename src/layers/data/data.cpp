#include "doppio/extend/registry.hpp"
#include "layers/data/database_layer.hpp"

namespace doppio {
namespace {

/// Images (or other records) from a database, in its order or shuffled, epoch after epoch.
///
/// See ImageLayer for the tops. Source: matches Caffe except for the random numbers; shuffle,
/// shards, min_side and on_error are extensions.
class Data final : public DatabaseLayer {
 public:
  explicit Data(const LayerParameter& p) : DatabaseLayer(p) {}

 private:
  bool keeps_kind() const override { return true; }
  std::unique_ptr<ImageReader> make_reader() const override {
    return make_record_reader(decode_options());
  }
};
DOPPIO_REGISTER_LAYER_ON(Device::any, "Data", Data, .bottoms = exactly(0), .tops = {1, 2},
                         .is_source = true);

}  // namespace
}  // namespace doppio
