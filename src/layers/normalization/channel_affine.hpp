#pragma once
// Folds a normalization layer into the convolution before it.
#include <cstdint>
#include <vector>

#include "doppio/extend/layer.hpp"

namespace doppio {

/// A layer that multiplies each channel by a factor and adds an offset, both independent of the
/// data.
class ChannelAffine {
 public:
  virtual ~ChannelAffine() = default;
  /// Returns the tensors that determine both, the first with one element per channel; empty if they
  /// depend on the data.
  virtual std::vector<const Tensor*> affine_sources() const = 0;
  /// Computes both for every channel, combined with a Scale layer after it unless `scale` is null.
  /// Runs on the host, since they seldom change.
  virtual void affine(const Layer* scale, float* factor, float* offset) const = 0;
};

/// Weight and bias of a convolution with such a layer, and perhaps a Scale, folded in: weight'[o] =
/// factor[o] weight[o], bias'[o] = factor[o] bias[o] + offset[o]. Computed on the host.
class FoldedWeights {
 public:
  /// Recomputes them if anything has changed; `from_bias` and `scale` may be null.
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
  std::vector<std::uint64_t> versions_;  // of the source tensors
};

}  // namespace doppio
