#include "tools/preparation.hpp"

#include <gflags/gflags.h>
#include <glog/logging.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>

#include "core/printable.hpp"
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

/// Throws: Error if the crop is not the size of the net's input.
void check_crop(const SourcedNet& net, int i) {
  const LayerParameter& layer = net.net.layer(i);
  const auto crop = static_cast<std::int64_t>(layer.transform_param().crop_size());
  if (crop == 0 || layer.input_param().shape_size() == 0) return;
  const BlobShape& shape = layer.input_param().shape(0);
  if (shape.dim_size() == 4 && (shape.dim(2) != crop || shape.dim(3) != crop))
    throw Error(str("crop_size is ", crop, " and the input is ", shape.dim(2), " x ", shape.dim(3),
                    "; they must be equal"),
                net.where(i, "transform_param.crop_size"));
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
  apply_flags(preparation);
  if (stated && !is_given("mean") && !preparation.mean_file.empty() &&
      !fs::exists(preparation.mean_file))
    throw Error(str("the mean file ", printable(preparation.mean_file),
                    " does not exist; copy it there, or give --mean=FILE or --mean_value=B,G,R"),
                net.where(i, "transform_param.mean_file"));
  LOG_IF(WARNING, !stated && !flags)
      << net.file
      << ": nothing says what to subtract from images, so their values are 0 to 255. If "
      << "the net was trained with a mean or a scale, give --mean, --mean_value or --scale, or "
         "make "
      << "a net that states it with `doppio deploy`";
  return preparation;
}

}  // namespace doppio
