#include "tools/preparation.hpp"

#include <gflags/gflags.h>
#include <glog/logging.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <utility>
#include <vector>

#include "core/printable.hpp"
#include "data/image/mean_file.hpp"
#include "io/comma_list.hpp"
#include "tools/flags.hpp"

DEFINE_string(mean, "", "mean image to subtract");
DEFINE_string(mean_value, "", "values to subtract");
DEFINE_double(scale, 1, "factor on the values after the mean is subtracted");
DEFINE_int32(resize, 0, "height and width to resize to before the center crop");

namespace doppio {

namespace fs = std::filesystem;

namespace {

std::vector<float> numbers(const std::string& flag, const std::string& text) {
  std::vector<float> values;
  for (const std::string& item : comma_list(text)) try {
      std::size_t used = 0;
      values.push_back(std::stof(item, &used));
      if (used != item.size() || !std::isfinite(values.back())) throw std::invalid_argument(item);
    } catch (const std::logic_error&) {
      throw UsageError(str("--", flag, "=", text, ": '", item, "' is not a finite number"));
    }
  return values;
}

/// Returns the number of the layer that is the net's input, or -1.
int input_layer(const NetParameter& net) {
  for (int i = 0; i < net.layer_size(); ++i)
    if (net.layer(i).type() == "Input") return i;
  return -1;
}

/// The height and width of the crop that `param` states; 0: none.
std::pair<std::int64_t, std::int64_t> crop_of(const TransformationParameter& param) {
  if (param.crop_size() > 0) return {param.crop_size(), param.crop_size()};
  return {param.crop_h(), param.crop_w()};
}

/// Throws: Error if the crop is not the size of the net's input.
void check_crop(const SourcedNet& net, int i) {
  const LayerParameter& layer = net.net.layer(i);
  const auto crop = crop_of(layer.transform_param());
  if (crop.first == 0 || layer.input_param().shape_size() == 0) return;
  const BlobShape& shape = layer.input_param().shape(0);
  if (shape.dim_size() == 4 && std::pair(shape.dim(2), shape.dim(3)) != crop)
    throw Error(str("the crop is ", crop.first, " x ", crop.second, " and the input ", shape.dim(2),
                    " x ", shape.dim(3), "; they must be equal"),
                net.where(i, "transform_param"));
}

/// Returns the side of the square mean image in `file`, which is that of images before the crop.
Index side_of_mean(const std::string& file) {
  if (file.empty() || !fs::exists(file)) return 0;
  const std::vector<Index> dims = read_mean_file(file).shape.dims();
  const std::size_t n = dims.size();
  return n >= 2 && dims[n - 1] == dims[n - 2] && dims[n - 1] > 1 ? dims[n - 1] : 0;
}

/// Takes over the mean and the scale of the Input layer's transform_param.
void apply(const TransformationParameter& param, const std::string& file,
           ImagePreparation& preparation) {
  preparation.scale = param.scale();
  preparation.mean_value.assign(param.mean_value().begin(), param.mean_value().end());
  if (!param.has_mean_file()) return;
  preparation.mean_file = (fs::path(file).parent_path() / param.mean_file()).string();
}

void apply_flags(ImagePreparation& preparation) {
  if (is_given("mean") || is_given("mean_value")) {
    preparation.mean_file = FLAGS_mean;
    preparation.mean_value = numbers("mean_value", FLAGS_mean_value);
  }
  if (is_given("scale")) preparation.scale = static_cast<float>(FLAGS_scale);
  constexpr int kMaxSide = 1 << 16;
  if (FLAGS_resize < 0 || FLAGS_resize > kMaxSide)
    throw UsageError(str("--resize=", FLAGS_resize, ": 0 to ", kMaxSide, " pixels are possible"));
  preparation.resize = FLAGS_resize;
  if (FLAGS_views < 0) throw UsageError("--views must not be negative");
  preparation.views = std::max(1, FLAGS_views);
}

}  // namespace

ImagePreparation preparation_for(const SourcedNet& net) {
  ImagePreparation preparation;
  const int i = input_layer(net.net);
  const bool stated = i >= 0 && net.net.layer(i).has_transform_param();
  const bool flags = is_given("mean") || is_given("mean_value") || is_given("scale");
  if (stated) check_crop(net, i);
  if (stated) apply(net.net.layer(i).transform_param(), net.file, preparation);
  const std::string stated_mean = preparation.mean_file;
  apply_flags(preparation);
  if (preparation.mean_file.empty() && preparation.resize == 0)
    preparation.resize = side_of_mean(stated_mean);  // only its values are overridden
  if (stated && !is_given("mean") && !preparation.mean_file.empty() &&
      !fs::exists(preparation.mean_file))
    throw Error(str("the mean file ", printable(preparation.mean_file),
                    " does not exist; copy it there, or give --mean=FILE or --mean_value=B,G,R"),
                net.where(i, "transform_param.mean_file"));
  LOG_IF(WARNING, stated && crop_of(net.net.layer(i).transform_param()).first > 0 &&
                      preparation.mean_file.empty() && preparation.resize == 0)
      << net.file
      << ": the net was trained on crops of larger images, whose size is not stated, so "
      << "images are resized to the net's input; give that size, as in --resize=256";
  LOG_IF(WARNING, !stated && !flags)
      << net.file
      << ": nothing says what to subtract from images, so their values are 0 to 255. If "
      << "the net was trained with a mean or a scale, give --mean, --mean_value or --scale, or "
         "make "
      << "a net that states it with `doppio deploy`";
  return preparation;
}

}  // namespace doppio
