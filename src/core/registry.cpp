#include "doppio/extend/registry.hpp"

#include "core/printable.hpp"
#include "doppio/error.hpp"

namespace doppio {

void Layer::backward(Context&, Tops, std::span<const bool>, Bottoms) {}

LayerRegistry& LayerRegistry::instance() {
  static LayerRegistry registry;
  return registry;
}

bool LayerRegistry::add(const std::string& type, Device device, Entry entry) {
  ensure(entries_.emplace(std::pair{type, device}, entry).second,
         "layer type '" + type + "' is registered twice");
  return true;
}

const LayerRegistry::Entry* LayerRegistry::find_or_null(const std::string& type,
                                                        Device device) const {
  for (const Device d : {device, Device::any})
    if (const auto it = entries_.find({type, d}); it != entries_.end()) return &it->second;
  return nullptr;
}

const LayerRegistry::Entry& LayerRegistry::find(const std::string& type, Device device) const {
  if (const Entry* entry = find_or_null(type, device)) return *entry;
  throw Error(str("unknown layer type '", printable(type), "'", did_you_mean(type, types()),
                  "; `doppio layers` lists the known types"),
              {}, "type");
}

std::vector<std::string> LayerRegistry::types() const {
  std::vector<std::string> names;
  for (const auto& [key, entry] : entries_)
    if (names.empty() || names.back() != key.first) names.push_back(key.first);
  return names;
}

}  // namespace doppio
