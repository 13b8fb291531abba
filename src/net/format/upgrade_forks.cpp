#include "net/format/upgrade_forks.hpp"

#include <algorithm>

#include "core/at.hpp"
#include "layers/normalization/bn_form.hpp"
#include "net/format/blob_io.hpp"
#include "net/format/layer_context.hpp"

namespace doppio {

namespace {

void rename_hole(ConvolutionParameter& p) {
  if (p.hole_size() == 0 && !p.has_hole_h() && !p.has_hole_w()) return;
  require_field(p.dilation_size() == 0, "convolution_param.hole",
                "hole is DeepLab's name of dilation; give only one of the two");
  require_field(p.has_hole_h() == p.has_hole_w() && !(p.has_hole_h() && p.hole_size() > 0),
                "convolution_param", "give either hole or both hole_h and hole_w");
  if (p.has_hole_h()) {
    p.add_dilation(p.hole_h());
    p.add_dilation(p.hole_w());
  }
  p.mutable_dilation()->MergeFrom(p.hole());
  p.clear_hole();
  p.clear_hole_h();
  p.clear_hole_w();
}

void rename_ceil_mode(PoolingParameter& p) {
  require_field(!p.has_round_mode(), "pooling_param.ceil_mode",
                "ceil_mode is another name of round_mode; give only one of the two");
  p.set_round_mode(p.ceil_mode() ? PoolingParameter::CEIL : PoolingParameter::FLOOR);
  p.clear_ceil_mode();
}

void never_learns(ParamSpec& p) {
  p.set_lr_mult(0);
  p.set_decay_mult(0);
}

/// TSN's BN stores 1 x C or C values, which become 1 x C x 1 x 1.
void spread_to_channels(BlobProto& blob) {
  const Shape shape = stored_shape(blob);
  const auto single = [](Index d) { return d == 1; };
  if (std::count_if(shape.dims().begin(), shape.dims().end(), single) < shape.axes() - 1) return;
  blob.clear_num();
  blob.clear_channels();
  blob.clear_height();
  blob.clear_width();
  blob.mutable_shape()->clear_dim();
  for (const Index d : {Index{1}, shape.count(), Index{1}, Index{1}})
    blob.mutable_shape()->add_dim(d);
}

void upgrade_bn(LayerParameter& layer) {
  for (BlobProto& blob : *layer.mutable_blobs()) spread_to_channels(blob);
  if (!bn_stores_statistics(layer)) return;
  while (layer.param_size() < 4) layer.add_param();
  const int first = layer.bn_param().frozen() ? 0 : 2;  // slope, bias, mean and variance
  for (int i = first; i < 4; ++i) never_learns(*layer.mutable_param(i));
}

bool has_scale_and_bias(const LayerParameter& layer) {
  const BatchNormParameter& p = layer.batch_norm_param();
  return p.scale_bias() || p.has_scale_filler() || p.has_bias_filler() || layer.blobs_size() == 4 ||
         layer.blobs_size() == 5;
}

/// NVCaffe up to 0.15 stores scale, bias, mean, variance and a blob of one value. Later versions
/// and Intel's Caffe store mean, variance, one value, scale and bias.
void reorder_blobs(LayerParameter& layer) {
  if (layer.blobs_size() != 5 || stored_shape(layer.blobs(4)).count() != 1 ||
      stored_shape(layer.blobs(0)).count() == 1)
    return;
  const LayerParameter old = layer;
  const int places[] = {2, 3, 4, 0, 1};
  for (int i = 0; i < 5; ++i) *layer.mutable_blobs(i) = old.blobs(places[i]);
}

/// Moves scale and bias of `batch_norm` into a new Scale layer.
LayerParameter split_off_scale(LayerParameter& batch_norm) {
  reorder_blobs(batch_norm);
  LayerParameter scale;
  scale.set_name(batch_norm.name() + "_scale");
  scale.set_type("Scale");
  for (const std::string& top : batch_norm.top()) {
    scale.add_bottom(top);
    scale.add_top(top);
  }
  *scale.mutable_include() = batch_norm.include();
  *scale.mutable_exclude() = batch_norm.exclude();
  if (batch_norm.has_phase()) scale.set_phase(batch_norm.phase());
  scale.mutable_loss_weight()->Swap(batch_norm.mutable_loss_weight());

  BatchNormParameter& from = *batch_norm.mutable_batch_norm_param();
  ScaleParameter& to = *scale.mutable_scale_param();
  to.set_bias_term(batch_norm.blobs_size() != 4);
  if (from.has_scale_filler()) *to.mutable_filler() = from.scale_filler();
  if (from.has_bias_filler()) *to.mutable_bias_filler() = from.bias_filler();
  from.clear_scale_filler();
  from.clear_bias_filler();
  from.clear_scale_bias();

  constexpr int kStatistics = 3;  // come before scale and bias
  for (int i = kStatistics; i < batch_norm.blobs_size(); ++i)
    *scale.add_blobs() = batch_norm.blobs(i);
  for (int i = kStatistics; i < batch_norm.param_size(); ++i)
    *scale.add_param() = batch_norm.param(i);
  while (batch_norm.blobs_size() > kStatistics) batch_norm.mutable_blobs()->RemoveLast();
  while (batch_norm.param_size() > kStatistics) batch_norm.mutable_param()->RemoveLast();
  return scale;
}

}  // namespace

SourcedNet upgrade_fork_names(SourcedNet source) {
  for (int i = 0; i < source.net.layer_size(); ++i) {
    LayerParameter& layer = *source.net.mutable_layer(i);
    try {
      if (layer.has_convolution_param()) rename_hole(*layer.mutable_convolution_param());
      if (layer.pooling_param().has_ceil_mode()) rename_ceil_mode(*layer.mutable_pooling_param());
    } catch (const Error& e) {
      throw Error(str(titled(layer), e.message()), source.where(i, e.field()), e.field());
    }
  }
  return source;
}

SourcedNet upgrade_batch_norms(SourcedNet source) {
  NetParameter old;
  old.mutable_layer()->Swap(source.net.mutable_layer());
  std::vector<std::shared_ptr<const FieldLocations>> places;
  source.layers.swap(places);
  places.resize(static_cast<std::size_t>(old.layer_size()));
  for (int i = 0; i < old.layer_size(); ++i) {
    LayerParameter& layer = *source.net.add_layer();
    layer.Swap(old.mutable_layer(i));
    source.layers.push_back(at(places, i));
    if (layer.type() == "BN") upgrade_bn(layer);
    if (layer.type() != "BatchNorm") continue;
    if (has_scale_and_bias(layer)) {
      LayerParameter scale = split_off_scale(layer);
      source.net.add_layer()->Swap(&scale);
      source.layers.push_back(at(places, i));
    }
    if (layer.param_size() == 3)
      for (ParamSpec& p : *layer.mutable_param()) never_learns(p);
  }
  return source;
}

}  // namespace doppio
