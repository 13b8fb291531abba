#pragma once
#include <algorithm>
#include <string>
#include <vector>

#include "core/printable.hpp"
#include "core/with_context.hpp"
#include "doppio.pb.h"
#include "doppio/error.hpp"
#include "doppio/net.hpp"
#include "net/format/source_map.hpp"

namespace doppio {

/// Returns the name in the prototxt of bottom `b` of layer `i`, which may now be a Split's top.
inline const std::string& written_bottom(const SourcedNet& source, int i, int b) {
  const std::string& name = source.net.layer(i).bottom(b);
  for (int k = i - 1; k >= 0; --k) {
    const LayerParameter& layer = source.net.layer(k);
    if (std::find(layer.top().begin(), layer.top().end(), name) == layer.top().end()) continue;
    const bool inserted = layer.type() == "Split" && name.starts_with(layer.name() + "_");
    return inserted ? layer.bottom(0) : name;
  }
  return name;
}

/// Returns "layer 'conv1' (Convolution): ", the prefix of messages about a layer.
inline std::string titled(const LayerParameter& layer) {
  return str("layer '", printable(layer.name()), "' (", printable(layer.type()), "): ");
}

/// For with_context(): adds the name, line and bottom shapes of layer `i` to an Error that has no
/// location.
inline auto layer_context(const SourcedNet& source, int i, const std::vector<Blob*>& bottoms) {
  return [&source, i, &bottoms](const Error& e) -> std::optional<Error> {
    if (!e.where().file.empty()) return std::nullopt;
    const LayerParameter& layer = source.net.layer(i);
    std::string message = str(titled(layer), e.message());
    for (std::size_t b = 0; b < bottoms.size(); ++b)
      message += str("\n    bottom '", printable(written_bottom(source, i, static_cast<int>(b))),
                     "': ", bottoms[b]->shape().text());
    return Error(message, source.where(i, e.field()), e.field());
  };
}

}  // namespace doppio
