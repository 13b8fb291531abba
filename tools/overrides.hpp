#pragma once
#include <string>
#include <vector>

#include "net/format/source_map.hpp"

namespace doppio {

/// The --set arguments, which change a prototxt for one run.
///
/// FIELD=VALUE changes a field of the solver, or one that only nets have (compute_type).
/// LAYER.FIELD=VALUE changes a field of every layer of that name. FIELD is a path from the layer
/// (data_param.batch_size) or from one of its *_param messages (batch_size). The prefix "train:" or
/// "test:" limits it to nets of that phase. Strings need no quotes. A repeated field is replaced by
/// comma-separated values. Errors about a changed field name the --set instead of a line of the
/// file.
class Overrides {
 public:
  /// Throws: UsageError for an argument without '='.
  explicit Overrides(const std::vector<std::string>& sets);

  /// Changes fields of a solver. Throws: Error for an unknown field or an invalid value.
  void apply(SolverParameter& solver, FieldLocations& fields);

  /// Filters `net` by `state` and changes fields of the remaining layers. Throws: Error if a layer
  /// has no such field, or for an invalid value.
  SourcedNet apply(SourcedNet net, const NetState& state);

  bool empty() const { return overrides_.empty(); }

  /// Throws: Error if a --set changed nothing.
  void require_all_used() const;

 private:
  struct Override {
    std::string text;   // the argument
    std::string path;   // before the '='
    std::string value;  // after the '='
    bool train = true, test = true;
    bool used = false;
  };
  std::vector<Override> overrides_;
  std::vector<std::string> layers_seen_;
};

}  // namespace doppio
