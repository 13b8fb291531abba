#pragma once
// What a convolution needs to do the work of the normalization that follows it.
#include <cstdint>
#include <vector>

#include "doppio/extend/layer.hpp"

namespace doppio {

/// A layer that multiplies each channel by a factor and adds an offset, both known before the data.
class ChannelAffine {
 public:
  virtual ~ChannelAffine() = default;
  /// What both are computed from, the first one with an element per channel; empty: they are not
  /// known before the data.
  virtual std::vector<const Tensor*> affine_sources() const = 0;
  /// Computes both for every channel, with those of a Scale layer after it unless `scale` is null,
  /// on the host: it is seldom that they change.
  virtual void affine(const Layer* scale, float* factor, float* offset) const = 0;
};

/// Weight and bias of a convolution that is followed by such a layer, and perhaps by a Scale:
/// weight'[o] = factor[o] weight[o], bias'[o] = factor[o] bias[o] + offset[o]. On the host,
/// whatever the device.
class FoldedWeights {
 public:
  /// Computes them again if anything has changed; `from_bias` and `scale` may be null.
  void update(const Tensor& from_weight, const Tensor* from_bias, const ChannelAffine& norm,
              const Layer* scale) {
    std::vector<const Tensor*> sources = norm.affine_sources();
    if (scale)
      for (const Blob& p : scale->params) sources.push_back(&p.data);
    sources.push_back(&from_weight);
    if (from_bias) sources.push_back(from_bias);
    std::vector<std::uint64_t> versions;
    for (const Tensor* source : sources) versions.push_back(source->version());
    if (versions == versions_) return;
    versions_.clear();  // in case of an exception
    fold(from_weight, from_bias, norm, scale);
    versions_ = std::move(versions);
  }

  const Tensor& weight() const { return weight_; }
  const Tensor& bias() const { return bias_; }

 private:
  void fold(const Tensor& from_weight, const Tensor* from_bias, const ChannelAffine& norm,
            const Layer* scale) {
    const Index outputs = from_weight.shape()[0], each = from_weight.count() / outputs;
    weight_.reshape(from_weight.shape());
    bias_.reshape({outputs});
    std::vector<float> factor(static_cast<std::size_t>(outputs));
    float* bias = bias_.write_host();
    norm.affine(scale, factor.data(), bias);
    const float* old_bias = from_bias ? from_bias->read_host() : nullptr;
    const float* from = from_weight.read_host();
    float* to = weight_.write_host();
    for (Index o = 0; o < outputs; ++o) {
      const float f = factor[static_cast<std::size_t>(o)];
      if (old_bias) bias[o] += f * old_bias[o];
      for (Index i = 0; i < each; ++i) *to++ = f * *from++;
    }
  }

  Tensor weight_, bias_;
  std::vector<std::uint64_t> versions_;  // of the tensors that they were computed from
};

}  // namespace doppio
