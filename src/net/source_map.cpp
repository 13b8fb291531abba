#include "net/source_map.hpp"

namespace doppio {

Location FieldLocations::find(std::string path) const {
  for (;;) {
    if (const auto it = fields.find(path); it != fields.end()) return it->second;
    const std::size_t dot = path.rfind('.');
    if (dot == std::string::npos) return self;
    path.resize(dot);
  }
}

Location SourcedNet::where(int i, const std::string& path) const {
  const auto index = static_cast<std::size_t>(i);
  if (index < layers.size() && layers[index]) return layers[index]->find(path);
  return {file, 0, 0};
}

}  // namespace doppio
