#include <unistd.h>

#include "doppio/extend/registry.hpp"
#include "layers/data/image_layer.hpp"

namespace doppio {
namespace {

/// Image files from a list of lines "path label", in its order or shuffled, epoch after epoch.
///
/// root_folder is prepended to paths unchanged. Images are decoded to 3 channels (1 with is_color:
/// false) and, with new_height and new_width, resized, then transformed; see ImageLayer for the
/// tops. Source: matches Caffe except for the random numbers.
class ImageData final : public ImageLayer {
 public:
  explicit ImageData(const LayerParameter& p)
      : ImageLayer(p, feed_options(p.image_data_param(), "image_data_param"),
                   read_options(p.image_data_param(), p.transform_param(), "image_data_param")),
        param_(p.image_data_param()) {
    constexpr unsigned kMaxSide = 1 << 16;
    const unsigned H = param_.new_height(), W = param_.new_width();
    require_field((H > 0) == (W > 0) && H <= kMaxSide && W <= kMaxSide,
                  "image_data_param.new_height", "new_height ", H, " and new_width ", W,
                  ": give both, from 1 to ", kMaxSide, ", or neither");
  }

 private:
  bool keeps_kind() const override { return true; }
  std::unique_ptr<ImageSource> open_source() const override {
    return open_list_source(param_.source(), param_.root_folder(),
                            {.color = param_.is_color() ? Color::color : Color::gray,
                             .min_side = read().min_side,
                             .height = param_.new_height(),
                             .width = param_.new_width()});
  }

  std::string missing_source() const override {
    return ::access(param_.source().c_str(), R_OK) == 0 ? ""
                                                        : "cannot read the list " + param_.source();
  }

  ImageDataParameter param_;
};
DOPPIO_REGISTER_LAYER_ON(Device::any, "ImageData", ImageData, .bottoms = exactly(0), .tops = {1, 2},
                         .is_source = true);

}  // namespace
}  // namespace doppio
