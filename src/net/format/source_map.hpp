#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "doppio.pb.h"
#include "doppio/error.hpp"

namespace doppio {

/// Where a message and each of its fields stand in a text file. Keys are paths such as "name",
/// "bottom[1]" or "convolution_param.kernel_size[0]"; a field that is written once in a repeated
/// place also has its path without index.
struct FieldLocations {
  Location self;
  std::map<std::string, Location> fields;

  /// Location of `path`, else of the message that would hold it, else of the whole.
  Location find(std::string path) const;
};

/// The layer that would make a blob if its include and exclude rules did not leave it out.
struct LeftOut {
  std::string layer;
  Location where;
};

/// A net and where it came from. `layers` runs parallel to the net's layers (`layer`, or `layers`
/// before the upgrade); passes that drop, add or move layers keep it so. Entries may be null: a net
/// built in memory has no lines.
struct SourcedNet {
  NetParameter net;
  std::string file;
  FieldLocations fields;  // of the net itself
  std::vector<std::shared_ptr<const FieldLocations>> layers;
  std::map<std::string, LeftOut> left_out;  // by blob; filled by filter()

  /// Location of a field of layer `i`, or just the file if nothing better is known. A field of one
  /// of the layer's messages may be given without the message, "axis" for "concat_param.axis".
  Location where(int i, const std::string& path = {}) const;

  /// All but the layers, for passes that make a new list of them with add().
  SourcedNet without_layers() const;
  /// Appends `layer`, which stands where layer `i` of `from` does.
  void add(LayerParameter layer, const SourcedNet& from, int i);
};

}  // namespace doppio
