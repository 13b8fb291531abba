#include <array>

#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/support/sizes.hpp"
#include "math/filler.hpp"

namespace doppio {
namespace {

/// Tops filled by data_filler (default: zeros): constants once, random values in each pass.
///
/// Shapes: one `shape`, or num, channels, height and width, for all tops or one per top. Random
/// values depend on ctx.seed, the layer's name and the number of the pass. Source: matches Caffe
/// except for the random numbers.
class DummyData final : public Layer {
 public:
  explicit DummyData(const LayerParameter& p)
      : name_(p.name()), param_(p.dummy_data_param()), tops_(p.top_size()) {
    check_count("data_filler", param_.data_filler_size(), true);
    const std::array old{param_.num_size(), param_.channels_size(), param_.height_size(),
                         param_.width_size()};
    if (param_.shape_size() > 0) {
      check_count("shape", param_.shape_size(), false);
      require_field(old == std::array{0, 0, 0, 0}, "dummy_data_param.num",
                    "give the shape either by shape or by num, channels, height and width");
      return;
    }
    require_field(old != std::array{0, 0, 0, 0}, "dummy_data_param", "shape is missing");
    check_count("num", old[0], false);
    check_count("channels", old[1], false);
    check_count("height", old[2], false);
    check_count("width", old[3], false);
  }

  void reshape(Context&, Bottoms, Tops top) override {
    filled_.resize(top.size(), -1);
    for (std::size_t t = 0; t < top.size(); ++t) top[t]->reshape(shape(static_cast<int>(t)));
  }

  void forward(Context& ctx, Bottoms, Tops top) override {
    for (std::size_t t = 0; t < top.size(); ++t) {
      const FillerParameter filler = this->filler(static_cast<int>(t));
      if (filler.type() == "constant" && filled_[t] == top[t]->count()) continue;
      fill(ctx, filler, str(name_, " pass ", ctx.pass), static_cast<int>(t), top[t]->data,
           param_.data_filler_size() == 1 ? "data_filler" : str("data_filler[", t, "]"));
      filled_[t] = top[t]->count();
    }
  }

 private:
  void check_count(const char* field, int given, bool may_be_none) const {
    require_field(given == 1 || given == tops_ || (may_be_none && given == 0),
                  str("dummy_data_param.", field), given, " values of ", field, " for ", tops_,
                  " tops; give one, or one per top");
  }

  /// Returns the value for top `t` of a field given once or once per top.
  template <class Repeated>
  static const auto& of(const Repeated& values, int t) {
    return values.Get(values.size() == 1 ? 0 : t);
  }

  Shape shape(int t) const {
    if (param_.shape_size() == 0)
      return checked_shape({of(param_.num(), t), of(param_.channels(), t), of(param_.height(), t),
                            of(param_.width(), t)},
                           "dummy_data_param.num");
    const auto& dims = of(param_.shape(), t).dim();
    return checked_shape({dims.begin(), dims.end()}, "dummy_data_param.shape");
  }

  FillerParameter filler(int t) const {
    return param_.data_filler_size() == 0 ? FillerParameter() : of(param_.data_filler(), t);
  }

  std::string name_;
  DummyDataParameter param_;
  int tops_;
  std::vector<Index> filled_;  // per top: number of values that the last fill wrote
};
DOPPIO_REGISTER_LAYER_ON(Device::any, "DummyData", DummyData, .bottoms = exactly(0),
                         .tops = at_least(1), .is_source = true);

}  // namespace
}  // namespace doppio
