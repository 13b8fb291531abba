#include "net/format/source_map.hpp"

#include <algorithm>
#include <utility>

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
  if (index >= layers.size() || !layers[index]) return {file, 0, 0};
  const FieldLocations& places = *layers[index];
  if (places.fields.count(path) > 0 ||
      LayerParameter::descriptor()->FindFieldByName(path.substr(0, path.find_first_of(".["))))
    return places.find(path);
  for (std::string inner = path; !inner.empty();
       inner.resize(inner.find('.') == inner.npos ? 0 : inner.rfind('.'))) {
    const auto ends_so = [&](const auto& entry) { return entry.first.ends_with("." + inner); };
    const auto found = std::find_if(places.fields.begin(), places.fields.end(), ends_so);
    if (found != places.fields.end() &&
        std::none_of(std::next(found), places.fields.end(), ends_so))
      return found->second;
  }
  return places.self;
}

SourcedNet SourcedNet::without_layers() const {
  SourcedNet rest = *this;
  rest.net.clear_layer();
  rest.layers.clear();
  return rest;
}

void SourcedNet::add(LayerParameter layer, const SourcedNet& from, int i) {
  const auto index = static_cast<std::size_t>(i);
  layers.push_back(index < from.layers.size() ? from.layers[index] : nullptr);
  *net.add_layer() = std::move(layer);
}

}  // namespace doppio
