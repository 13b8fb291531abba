#pragma once
#include <map>
#include <memory>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

#include "doppio/extend/layer.hpp"

namespace doppio {

/// How many bottoms or tops a layer takes.
struct Arity {
  int min = 1;
  int max = 1;
};
constexpr int kUnlimited = 1 << 20;
constexpr Arity exactly(int n) { return {n, n}; }
constexpr Arity at_least(int n) { return {n, kUnlimited}; }

/// Properties of a layer type that the net needs before it creates a layer.
struct LayerTraits {
  Arity bottoms = exactly(1);
  Arity tops = exactly(1);
  bool one_top_per_bottom = false;    ///< as many tops as bottoms
  bool in_place = false;              ///< a top may be the bottom of the same index
  bool is_loss = false;               ///< first top has loss weight 1; an undeclared top is added
  bool is_source = false;             ///< produces data: no bottoms, or none with a gradient
  unsigned no_grad_bottoms = 0;       ///< bit i: bottom i (labels, indices) never gets a gradient
  bool backward_reads_bottom = true;  ///< backward uses the bottoms' data
  bool backward_reads_top = true;     ///< backward uses the tops' data
  bool fuses_pooling = false;         ///< can absorb a Pooling layer that follows, also in training
  bool splits_channels = false;       ///< works on channels or values apart: a part suffices
  bool params_learn = true;           ///< false: params are statistics, their lr_mult is always 0
};

/// The layer types that this build knows, by type name and device.
class LayerRegistry {
 public:
  using Make = std::unique_ptr<Layer> (*)(const LayerParameter&);
  struct Entry {
    Make make = nullptr;
    LayerTraits traits;
    std::source_location where;  ///< the line that registered it
  };

  static LayerRegistry& instance();

  /// Called by DOPPIO_REGISTER_LAYER. Throws: InternalError if (type, device) is registered.
  bool add(const std::string& type, Device device, Entry entry);

  /// Returns the entry for `type` on `device`, or else on Device::any. Throws: Error with the
  /// nearest names if there is none; its field() is "type".
  const Entry& find(const std::string& type, Device device) const;

  /// As find(), but returns null instead of throwing.
  const Entry* find_or_null(const std::string& type, Device device) const;

  /// All type names in alphabetical order.
  std::vector<std::string> types() const;

 private:
  std::map<std::pair<std::string, Device>, Entry> entries_;
};

}  // namespace doppio

/// Registers layer class `cls` as `type` for the device that this file is compiled for. The other
/// arguments are designated initialisers of LayerTraits: DOPPIO_REGISTER_LAYER("ReLU", Relu,
/// .in_place = true);
#define DOPPIO_REGISTER_LAYER(type, cls, ...) \
  DOPPIO_REGISTER_LAYER_ON(::doppio::kDevice, type, cls, __VA_ARGS__)

/// As above for `device`. Device::any suits layers that run on the host or only call other layers.
#define DOPPIO_REGISTER_LAYER_ON(device, type, cls, ...)                                  \
  [[maybe_unused]] const bool registered_##cls = ::doppio::LayerRegistry::instance().add( \
      type, device,                                                                       \
      {[](const ::doppio::LayerParameter& p) -> std::unique_ptr<::doppio::Layer> {        \
         return std::make_unique<cls>(p);                                                 \
       },                                                                                 \
       ::doppio::LayerTraits{__VA_ARGS__}, std::source_location::current()})
