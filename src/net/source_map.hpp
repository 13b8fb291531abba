#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "doppio.pb.h"
#include "doppio/error.hpp"

namespace doppio {

/// Where one `layer { }` and each of its fields stand in the file: "" is the layer itself, other
/// keys are paths such as "name", "bottom[1]" or "convolution_param.kernel_size[0]".
struct LayerSource {
  std::map<std::string, Location> fields;

  /// Location of `field`, of its nearest known prefix, or of the layer.
  Location find(const std::string& field) const;
};

/// A net and where it came from. `layers` runs parallel to `net.layer()`; passes that drop, add or
/// move layers keep it so. Entries may be null (a net that was built in memory).
struct SourcedNet {
  NetParameter net;
  std::string file;
  LayerSource fields;  // net-level fields
  std::vector<std::shared_ptr<const LayerSource>> layers;

  /// Location of a field of layer `i`, or just the file if nothing better is known.
  Location where(int i, const std::string& field = {}) const;
};

}  // namespace doppio
