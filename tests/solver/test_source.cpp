#include <algorithm>
#include <limits>

#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "math/philox.hpp"

namespace doppio {
namespace {

/// An endless source of records with 3 random features, labelled with the index of the largest. It
/// supports seek(). A layer named "poisoned" yields nan from record 8 on.
class TestSource final : public Layer {
 public:
  explicit TestSource(const LayerParameter& p)
      : batch_(p.dummy_data_param().num(0)), poisoned_(p.name() == "poisoned") {}

  void reshape(Context&, Bottoms, Tops top) override {
    top[0]->reshape({batch_, 3});
    top[1]->reshape({batch_});
  }

  void forward(Context&, Bottoms, Tops top) override {
    float* x = top[0]->data.write_host();
    float* label = top[1]->data.write_host();
    for (Index n = 0; n < batch_; ++n, ++record_) {
      const Random random{1, 2, record_};
      for (Index c = 0; c < 3; ++c) x[n * 3 + c] = random.uniform(c) - 0.5f;
      label[n] = static_cast<float>(std::max_element(x + n * 3, x + n * 3 + 3) - (x + n * 3));
      if (poisoned_ && record_ >= 8) x[n * 3] = std::numeric_limits<float>::quiet_NaN();
    }
  }

  Cursor cursor() const override { return {record_}; }
  void seek(const Cursor& cursor) override { record_ = cursor.records; }

 private:
  Index batch_;
  bool poisoned_;
  std::uint64_t record_ = 0;
};

DOPPIO_REGISTER_LAYER_ON(Device::any, "TestSource", TestSource, .bottoms = exactly(0),
                         .tops = exactly(2), .is_source = true);

}  // namespace
}  // namespace doppio
