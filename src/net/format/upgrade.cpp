// Upgrades old generations of the format to today's, in the same order as Caffe.
#include "net/format/upgrade.hpp"

#include <google/protobuf/descriptor.h>

#include "net/format/layer_types.hpp"
#include "net/format/upgrade_forks.hpp"
#include "net/format/upgrade_v0.hpp"

namespace doppio {

namespace {

namespace pb = google::protobuf;

/// Moves transformation fields of V1 data layers from their own message to transform_param.
template <class DataMessage>
void move_transformation(DataMessage& data, TransformationParameter& transform) {
  if (data.has_scale()) transform.set_scale(data.scale());
  if (data.has_mean_file()) transform.set_mean_file(data.mean_file());
  if (data.has_crop_size()) transform.set_crop_size(data.crop_size());
  if (data.has_mirror()) transform.set_mirror(data.mirror());
  data.clear_scale();
  data.clear_mean_file();
  data.clear_crop_size();
  data.clear_mirror();
}

bool has_old_transformation(const V1LayerParameter& old) {
  const auto any = [](const auto& d) {
    return d.has_scale() || d.has_mean_file() || d.has_crop_size() || d.has_mirror();
  };
  return (old.type() == V1LayerParameter::DATA && any(old.data_param())) ||
         (old.type() == V1LayerParameter::IMAGE_DATA && any(old.image_data_param())) ||
         (old.type() == V1LayerParameter::WINDOW_DATA && any(old.window_data_param()));
}

void upgrade_transformation(V1LayerParameter& old) {
  if (!has_old_transformation(old)) return;
  TransformationParameter& transform = *old.mutable_transform_param();
  if (old.type() == V1LayerParameter::DATA)
    move_transformation(*old.mutable_data_param(), transform);
  else if (old.type() == V1LayerParameter::IMAGE_DATA)
    move_transformation(*old.mutable_image_data_param(), transform);
  else
    move_transformation(*old.mutable_window_data_param(), transform);
}

ParamSpec& spec(LayerParameter& layer, int i) {
  while (layer.param_size() <= i) layer.add_param();
  return *layer.mutable_param(i);
}

/// Copies every field of `from` that `to` has with the same name and type. V1 and today's format
/// share the sub-messages.
void copy_same_fields(const V1LayerParameter& from, LayerParameter& to) {
  std::vector<const pb::FieldDescriptor*> set;
  from.GetReflection()->ListFields(from, &set);
  for (const pb::FieldDescriptor* f : set) {
    if (f->name() == "type" || f->name() == "param") continue;
    const pb::FieldDescriptor* g = to.GetDescriptor()->FindFieldByName(f->name());
    if (!g || f->cpp_type() != g->cpp_type() || f->is_repeated() != g->is_repeated()) continue;
    const auto* in = from.GetReflection();
    const auto* out = to.GetReflection();
    if (!f->is_repeated() && f->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE)
      out->MutableMessage(&to, g)->CopyFrom(in->GetMessage(from, f));
    else if (!f->is_repeated())
      out->SetString(&to, g, in->GetString(from, f));  // `param` is only a name in V1
    else
      for (int i = 0; i < in->FieldSize(from, f); ++i) switch (f->cpp_type()) {
          case pb::FieldDescriptor::CPPTYPE_MESSAGE:
            out->AddMessage(&to, g)->CopyFrom(in->GetRepeatedMessage(from, f, i));
            break;
          case pb::FieldDescriptor::CPPTYPE_FLOAT:
            out->AddFloat(&to, g, in->GetRepeatedFloat(from, f, i));
            break;
          default:
            out->AddString(&to, g, in->GetRepeatedString(from, f, i));
            break;
        }
  }
}

LayerParameter upgrade_v1(V1LayerParameter old) {
  upgrade_transformation(old);
  LayerParameter layer;
  copy_same_fields(old, layer);
  layer.set_type(type_name(old.type()));
  for (int i = 0; i < old.param_size(); ++i) spec(layer, i).set_name(old.param(i));
  for (int i = 0; i < old.blob_share_mode_size(); ++i)
    spec(layer, i).set_share_mode(old.blob_share_mode(i) == V1LayerParameter::PERMISSIVE
                                      ? ParamSpec::PERMISSIVE
                                      : ParamSpec::STRICT);
  for (int i = 0; i < old.blobs_lr_size(); ++i) spec(layer, i).set_lr_mult(old.blobs_lr(i));
  for (int i = 0; i < old.weight_decay_size(); ++i)
    spec(layer, i).set_decay_mult(old.weight_decay(i));
  return layer;
}

/// Replaces `input:` fields, with an `input_shape` or four `input_dim` each, by one Input layer in
/// front. Without sizes, as in old .caffemodel files, they are dropped.
void upgrade_inputs(SourcedNet& source) {
  NetParameter& net = source.net;
  if (net.input_size() == 0) return;
  const int inputs = net.input_size();
  const int shapes = net.input_shape_size(), dims = net.input_dim_size();
  if (shapes + dims > 0) {
    if (shapes > 0 && dims > 0)
      throw Error("use either input_shape or input_dim, not both", source.fields.find("input_dim"));
    if (shapes != (dims == 0 ? inputs : 0) || dims != (shapes == 0 ? 4 * inputs : 0))
      throw Error(str(inputs, " inputs need ", inputs, " input_shape or ", 4 * inputs,
                      " input_dim, there are ", shapes, " and ", dims),
                  source.fields.find("input"));
    NetParameter with_input;
    LayerParameter& layer = *with_input.add_layer();
    layer.set_name("input");
    layer.set_type("Input");
    for (int i = 0; i < inputs; ++i) {
      layer.add_top(net.input(i));
      BlobShape& shape = *layer.mutable_input_param()->add_shape();
      if (shapes > 0)
        shape = net.input_shape(i);
      else
        for (int d = 0; d < 4; ++d) shape.add_dim(net.input_dim(4 * i + d));
    }
    with_input.mutable_layer()->MergeFrom(net.layer());
    net.mutable_layer()->Swap(with_input.mutable_layer());
    auto where = std::make_shared<FieldLocations>();
    where->self = source.fields.find("input");
    source.layers.insert(source.layers.begin(), where);
  }
  net.clear_input();
  net.clear_input_shape();
  net.clear_input_dim();
}

}  // namespace

SourcedNet upgrade(SourcedNet source) {
  source.layers.resize(
      static_cast<std::size_t>(std::max(source.net.layer_size(), source.net.layers_size())));
  source = upgrade_v0(std::move(source));
  for (const V1LayerParameter& old : source.net.layers()) *source.net.add_layer() = upgrade_v1(old);
  source.net.clear_layers();
  upgrade_inputs(source);
  return upgrade_batch_norms(upgrade_fork_names(std::move(source)));
}

}  // namespace doppio
