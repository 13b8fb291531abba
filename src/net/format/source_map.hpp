#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "doppio.pb.h"
#include "doppio/error.hpp"

namespace doppio {

/// Locations of a message and each of its fields in a text file. Keys are paths such as "name",
/// "bottom[1]" or "convolution_param.kernel_size[0]". A repeated field that occurs once is also
/// found by its path without index.
struct FieldLocations {
  Location self;
  std::map<std::string, Location> fields;

  /// Returns the location of `path`, else of the message that would contain it, else of the root.
  Location find(std::string path) const;
};

/// A layer that include and exclude rules removed, recorded for each blob that it would have made.
struct LeftOut {
  std::string layer;
  Location where;
};

/// A net and the file it was read from. `layers` has one entry per layer of the net (`layer`, or
/// `layers` before the upgrade), which passes that drop, add or move layers keep in step. Entries
/// may be null: a net built in memory has no lines.
struct SourcedNet {
  NetParameter net;
  std::string file;
  FieldLocations fields;  // of the net itself
  std::vector<std::shared_ptr<const FieldLocations>> layers;
  std::map<std::string, LeftOut> left_out;  // by blob; filled by filter()

  /// Returns the location of a field of layer `i`, or only the file if nothing better is known.
  /// `path` may omit the layer's parameter message: "axis" for "concat_param.axis".
  Location where(int i, const std::string& path = {}) const;

  /// Returns a copy without layers, for passes that build a new list with add().
  SourcedNet without_layers() const;
  /// Appends `layer` with the source location of layer `i` of `from`.
  void add(LayerParameter layer, const SourcedNet& from, int i);
};

}  // namespace doppio
