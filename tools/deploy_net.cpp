#include "tools/deploy_net.hpp"

#include <google/protobuf/text_format.h>

#include <algorithm>
#include <filesystem>
#include <iostream>

#include "core/printable.hpp"
#include "data/image/datum.hpp"
#include "data/image/transformer.hpp"
#include "data/storage/database_list.hpp"
#include "io/atomic_file.hpp"
#include "net/passes/passes.hpp"

namespace doppio {

namespace fs = std::filesystem;

namespace {

/// Returns the data layer of a filtered net: the first layer with a source of images.
const LayerParameter& data_layer(const SourcedNet& net) {
  const auto found =
      std::find_if(net.net.layer().begin(), net.net.layer().end(), [](const LayerParameter& layer) {
        return layer.bottom_size() == 0 && layer.top_size() > 0 && layer.type().ends_with("Data") &&
               layer.type() != "DummyData";
      });
  if (found == net.net.layer().end())
    throw Error("has no data layer in phase TEST, so there is nothing to replace by an Input layer",
                {net.file, 0, 0});
  return *found;
}

/// Returns the channels to which the layer decodes image files.
Color color_of(const TransformationParameter& param) {
  if (param.force_gray()) return Color::gray;
  return param.force_color() ? Color::color : Color::as_stored;
}

std::string ending_removed(const std::string& file) {
  return fs::path(file).replace_extension().string();
}

/// Writes a mean image whose pixels all have the values of mean_value. Throws: Error if `file`
/// exists with other contents.
void write_constant_mean(const std::string& file, const TransformationParameter& param,
                         const Shape& image) {
  std::vector<double> values;
  for (Index c = 0; c < image[0]; ++c) {
    const int last = param.mean_value_size() - 1;
    const double value =
        last < 0 ? 0 : static_cast<double>(param.mean_value(std::min(static_cast<int>(c), last)));
    values.insert(values.end(), static_cast<std::size_t>(image[1] * image[2]), value);
  }
  if (fs::exists(file)) {
    const std::vector<float> wanted(values.begin(), values.end());
    require(read_mean_file(file).values == wanted, printable(file),
            " exists and is another mean; give the net another name, or remove that file");
    return;
  }
  write_mean_file(file, image, values);
}

/// Makes the mean file relative to the deploy net, and one that tells the size before the crop.
void place_mean(TransformationParameter& param, const Shape& image, const std::string& file) {
  const bool crops = param.crop_size() > 0 || param.crop_h() > 0;
  const fs::path folder = file.empty() ? fs::current_path() : fs::absolute(file).parent_path();
  std::string mean = param.mean_file();
  if (mean.empty() && crops && !file.empty()) {
    mean = ending_removed(file) + "_mean.binaryproto";
    write_constant_mean(mean, param, image);
    param.clear_mean_value();
  }
  if (!mean.empty()) param.set_mean_file(fs::proximate(fs::absolute(mean), folder).string());
}

}  // namespace

Shape stored_image(const SourcedNet& test_net) {
  const LayerParameter& layer = data_layer(test_net);
  const TransformationParameter& param = layer.transform_param();
  const Index color = param.force_gray() ? 1 : 3;
  if (param.has_resize_param() && param.resize_param().height() > 0)
    return {color, param.resize_param().height(), param.resize_param().width()};
  if (layer.image_data_param().new_height() > 0)
    return {layer.image_data_param().is_color() ? 3 : 1, layer.image_data_param().new_height(),
            layer.image_data_param().new_width()};
  if (layer.has_memory_data_param())
    return {layer.memory_data_param().channels(), layer.memory_data_param().height(),
            layer.memory_data_param().width()};
  if (layer.type() == "Data")
    for (const std::string& source : layer.data_param().source()) {
      const std::vector<std::string> paths = database_paths(source);
      if (paths.empty() || !has_database(paths.front())) continue;
      const std::unique_ptr<Database> database = open_database(paths.front());
      return DatumReader(color_of(param)).read(database->next().value).shape();
    }
  if (param.has_mean_file() && fs::exists(param.mean_file())) {
    const Shape mean = read_mean_file(param.mean_file()).shape;
    if (mean.axes() == 4) return {mean[1], mean[2], mean[3]};
  }
  throw Error(str("layer '", printable(layer.name()),
                  "' has neither a database nor a mean file that exists, so the size of the images "
                  "is not known; give it: --shape=CHANNELS,HEIGHT,WIDTH (before the crop)"),
              {test_net.file, 0, 0});
}

void write_deploy_net(const SourcedNet& net, const Shape& image, const std::string& file) {
  const TransformationParameter& transform = data_layer(net).transform_param();
  const auto crop_h =
      static_cast<Index>(transform.crop_h() > 0 ? transform.crop_h() : transform.crop_size());
  const auto crop_w =
      static_cast<Index>(transform.crop_w() > 0 ? transform.crop_w() : transform.crop_size());
  require(image.axes() == 3, "the shape of an image is C x H x W, not ", image.text());
  const Shape input =
      crop_h > 0 ? Shape{1, image[0], crop_h, crop_w} : Shape{1, image[0], image[1], image[2]};
  if (!file.empty()) require_writable(file);
  SourcedNet deployed = deploy(net, input);
  for (LayerParameter& layer : *deployed.net.mutable_layer())
    if (layer.type() == "Input" && layer.has_transform_param())
      place_mean(*layer.mutable_transform_param(), image, file);
  std::string text;
  google::protobuf::TextFormat::PrintToString(deployed.net, &text);
  text =
      "# Made from " + printable(net.file) +
      " by `doppio deploy`. The Input layer's transform_param says how\n"
      "# images are prepared: resized to the size of the mean image, cropped at the center, minus "
      "the mean,\n# times scale. mean_file is relative to the folder of this file.\n" +
      text;
  if (file.empty())
    std::cout << text;
  else
    write_file_atomically(file, [&](std::ostream& out) { out << text; });
}

}  // namespace doppio
