#include "net/format/upgrade_v0.hpp"

#include <glog/logging.h>

#include <algorithm>
#include <map>

#include "core/printable.hpp"

namespace doppio {

namespace {

/// Maps V0 type names: most are the V1 name in lower case.
V1LayerParameter::LayerType v1_type(const std::string& type, const Location& where) {
  static const std::map<std::string, std::string> irregular = {{"conv", "CONVOLUTION"},
                                                               {"images", "IMAGE_DATA"},
                                                               {"innerproduct", "INNER_PRODUCT"},
                                                               {"pool", "POOLING"}};
  std::string name = type;
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  if (const auto it = irregular.find(type); it != irregular.end()) name = it->second;
  V1LayerParameter::LayerType value = V1LayerParameter::NONE;
  if (!type.empty() && !V1LayerParameter::LayerType_Parse(name, &value))
    throw Error(str("unknown old layer type '", printable(type), "'"), where);
  return value;
}

bool is_pad(const V1LayerParameter& l) { return l.has_layer() && l.layer().type() == "padding"; }

/// Removes padding layers and adds their pad to the layer that reads them.
SourcedNet fold_padding(SourcedNet source) {
  std::map<std::string, const V1LayerParameter*> pads;  // keyed by top
  const NetParameter original = source.net;
  SourcedNet out = source;
  out.net.clear_layers();
  out.layers.clear();
  for (int i = 0; i < original.layers_size(); ++i) {
    const V1LayerParameter& layer = original.layers(i);
    if (is_pad(layer)) {
      if (layer.bottom_size() != 1 || layer.top_size() != 1)
        throw Error("a padding layer has one bottom and one top", source.where(i));
      pads[layer.top(0)] = &layer;
      continue;
    }
    V1LayerParameter& kept = *out.net.add_layers();
    kept = layer;
    out.layers.push_back(source.layers[static_cast<std::size_t>(i)]);
    for (int b = 0; b < kept.bottom_size(); ++b) {
      const auto pad = pads.find(kept.bottom(b));
      if (pad == pads.end()) continue;
      if (kept.layer().type() != "conv" && kept.layer().type() != "pool")
        throw Error("only a conv or pool layer can read a padding layer", source.where(i));
      kept.mutable_layer()->set_pad(pad->second->layer().pad());
      kept.set_bottom(b, pad->second->bottom(0));
    }
  }
  return out;
}

/// Moves the fields of one V0 layer to the message of its type. Fields that remain in `old` do not
/// belong to the type.
void move_fields(V0LayerParameter& old, V1LayerParameter& to) {
  const std::string& type = old.type();
  const bool conv = type == "conv", pool = type == "pool", ip = type == "innerproduct";
  const bool data = type == "data", images = type == "images", window = type == "window_data";
#define MOVE(when, field, target, name)             \
  if ((when) && old.has_##field()) {                \
    to.mutable_##target()->set_##name(old.field()); \
    old.clear_##field();                            \
  }
#define MOVE_MESSAGE(when, field, target)                    \
  if ((when) && old.has_##field()) {                         \
    *to.mutable_##target()->mutable_##field() = old.field(); \
    old.clear_##field();                                     \
  }
#define ADD(when, field, target, name)              \
  if ((when) && old.has_##field()) {                \
    to.mutable_##target()->add_##name(old.field()); \
    old.clear_##field();                            \
  }
  MOVE(conv, num_output, convolution_param, num_output)
  MOVE(ip, num_output, inner_product_param, num_output)
  MOVE(conv, biasterm, convolution_param, bias_term)
  MOVE(ip, biasterm, inner_product_param, bias_term)
  MOVE_MESSAGE(conv, weight_filler, convolution_param)
  MOVE_MESSAGE(ip, weight_filler, inner_product_param)
  MOVE_MESSAGE(conv, bias_filler, convolution_param)
  MOVE_MESSAGE(ip, bias_filler, inner_product_param)
  ADD(conv, pad, convolution_param, pad)
  ADD(conv, kernelsize, convolution_param, kernel_size)
  ADD(conv, stride, convolution_param, stride)
  MOVE(conv, group, convolution_param, group)
  MOVE(pool, pad, pooling_param, pad)
  MOVE(pool, kernelsize, pooling_param, kernel_size)
  MOVE(pool, stride, pooling_param, stride)
  if (pool && old.has_pool()) {
    to.mutable_pooling_param()->set_pool(static_cast<PoolingParameter::PoolMethod>(old.pool()));
    old.clear_pool();
  }
  MOVE(type == "dropout", dropout_ratio, dropout_param, dropout_ratio)
  MOVE(type == "lrn", local_size, lrn_param, local_size)
  MOVE(type == "lrn", alpha, lrn_param, alpha)
  MOVE(type == "lrn", beta, lrn_param, beta)
  MOVE(type == "lrn", k, lrn_param, k)
  ADD(data, source, data_param, source)
  MOVE(type == "hdf5_data", source, hdf5_data_param, source)
  MOVE(images, source, image_data_param, source)
  MOVE(window, source, window_data_param, source)
  MOVE(type == "infogain_loss", source, infogain_loss_param, source)
  MOVE(data, batchsize, data_param, batch_size)
  MOVE(type == "hdf5_data", batchsize, hdf5_data_param, batch_size)
  MOVE(images, batchsize, image_data_param, batch_size)
  MOVE(window, batchsize, window_data_param, batch_size)
  MOVE(data || images || window, scale, transform_param, scale)
  MOVE(data || images || window, meanfile, transform_param, mean_file)
  MOVE(data || images || window, cropsize, transform_param, crop_size)
  MOVE(data || images || window, mirror, transform_param, mirror)
  MOVE(data, rand_skip, data_param, rand_skip)
  MOVE(images, rand_skip, image_data_param, rand_skip)
  MOVE(images, shuffle_images, image_data_param, shuffle)
  MOVE(images, new_height, image_data_param, new_height)
  MOVE(images, new_width, image_data_param, new_width)
  MOVE(type == "concat", concat_dim, concat_param, concat_dim)
  MOVE(window, det_fg_threshold, window_data_param, fg_threshold)
  MOVE(window, det_bg_threshold, window_data_param, bg_threshold)
  MOVE(window, det_fg_fraction, window_data_param, fg_fraction)
  MOVE(window, det_context_pad, window_data_param, context_pad)
  MOVE(window, det_crop_mode, window_data_param, crop_mode)
#undef MOVE
#undef MOVE_MESSAGE
#undef ADD
  if (type == "hdf5_output" && old.has_hdf5_output_param()) {
    *to.mutable_hdf5_output_param() = old.hdf5_output_param();
    old.clear_hdf5_output_param();
  }
}

void report_what_is_left(const V0LayerParameter& old, const std::string& type,
                         const SourcedNet& source, int i) {
  std::vector<const google::protobuf::FieldDescriptor*> left;
  old.GetReflection()->ListFields(old, &left);
  for (const auto* field : left)
    if (field->name() != "type")
      LOG(WARNING) << source.where(i, str("layer.", field->name())).text() << ": old layer type '"
                   << type << "' has no field '" << field->name() << "'; it is ignored";
}

}  // namespace

SourcedNet upgrade_v0(SourcedNet source) {
  const auto& layers = source.net.layers();
  if (std::none_of(layers.begin(), layers.end(), [](const auto& l) { return l.has_layer(); }))
    return source;
  source = fold_padding(std::move(source));
  for (int i = 0; i < source.net.layers_size(); ++i) {
    V1LayerParameter& to = *source.net.mutable_layers(i);
    V0LayerParameter old = to.layer();
    to.clear_layer();
    to.set_name(old.name());
    to.set_type(v1_type(old.type(), source.where(i, "layer.type")));
    to.mutable_blobs()->Swap(old.mutable_blobs());
    to.mutable_blobs_lr()->Swap(old.mutable_blobs_lr());
    to.mutable_weight_decay()->Swap(old.mutable_weight_decay());
    old.clear_name();
    move_fields(old, to);
    report_what_is_left(old, old.type(), source, i);
  }
  return source;
}

}  // namespace doppio
