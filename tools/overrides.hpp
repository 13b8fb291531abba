#pragma once
#include <string>
#include <vector>

#include "net/format/source_map.hpp"

namespace doppio {

/// The values of --set: changes to a prototxt for one run.
///
/// FIELD=VALUE changes a field of the solver, or one that only nets have (compute_type).
/// LAYER.FIELD=VALUE changes a field of every layer of that name; FIELD is a path from the layer
/// (data_param.batch_size), or one from a message
/// *_param that the layer has (batch_size). "train:" or "test:" before it limits it to nets of that
/// phase. Strings need no quotes; what stood in a repeated field is replaced by the values between
/// commas. Errors about a changed field name the --set instead of a line of the file.
class Overrides {
 public:
  /// Throws: UsageError for a text without '='.
  explicit Overrides(const std::vector<std::string>& sets);

  /// Changes the fields of a solver. Throws: Error if there is no such field, or for a bad value.
  void apply(SolverParameter& solver, FieldLocations& fields);

  /// Filters `net` by `state` and changes the fields of the layers that are left.
  /// Throws: Error if a layer has no such field, or for a bad value.
  SourcedNet apply(SourcedNet net, const NetState& state);

  bool empty() const { return overrides_.empty(); }

  /// Throws: Error if a --set has met nothing that it could change.
  void require_all_used() const;

 private:
  struct Override {
    std::string text;   // as given
    std::string path;   // before the '='
    std::string value;  // after the '='
    bool train = true, test = true;
    bool used = false;
  };
  std::vector<Override> overrides_;
  std::vector<std::string> layers_seen_;
};

}  // namespace doppio
