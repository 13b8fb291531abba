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

/// What the net needs to know of a layer type before it makes one.
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
  bool fuses_pooling = false;         ///< may do the work of a Pooling after it, in training too
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

  /// Called by DOPPIO_REGISTER_LAYER. Throws: InternalError if (type, device) is taken.
  bool add(const std::string& type, Device device, Entry entry);

  /// The entry for `type` on `device`, or the one for any device.
  /// Throws: Error if there is none, with the nearest names; its field() is "type".
  const Entry& find(const std::string& type, Device device) const;

  /// As find(), but null instead of an Error.
  const Entry* find_or_null(const std::string& type, Device device) const;

  /// All type names in alphabetical order.
  std::vector<std::string> types() const;

 private:
  std::map<std::pair<std::string, Device>, Entry> entries_;
};

}  // namespace doppio

/// Registers layer class `cls` as `type` for the device that this file is compiled for; what
/// follows are designated initialisers of LayerTraits, in its order: DOPPIO_REGISTER_LAYER("ReLU",
/// Relu, .in_place = true);
#define DOPPIO_REGISTER_LAYER(type, cls, ...) \
  DOPPIO_REGISTER_LAYER_ON(::doppio::kDevice, type, cls, __VA_ARGS__)

/// The same for a layer that works on any device, because it runs on the host or only calls others.
#define DOPPIO_REGISTER_LAYER_ON(device, type, cls, ...)                                  \
  [[maybe_unused]] const bool registered_##cls = ::doppio::LayerRegistry::instance().add( \
      type, device,                                                                       \
      {[](const ::doppio::LayerParameter& p) -> std::unique_ptr<::doppio::Layer> {        \
         return std::make_unique<cls>(p);                                                 \
       },                                                                                 \
       ::doppio::LayerTraits{__VA_ARGS__}, std::source_location::current()})
