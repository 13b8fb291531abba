#pragma once
#include <functional>
#include <string>
#include <vector>

#include "core/with_context.hpp"
#include "doppio.pb.h"
#include "net/format/source_map.hpp"

namespace doppio {

/// A solver and the file it was read from.
struct SourcedSolver {
  SolverParameter param;
  std::string file;
  FieldLocations fields;
  /// Changes every net after reading and before construction. May be empty.
  std::function<SourcedNet(SourcedNet, const NetState&)> edit = {};
};

/// Parses a solver prototxt. Throws: one Error with every unknown field and syntax error.
SourcedSolver read_solver(const std::string& file);

/// For with_context(): adds the line of the solver field to an Error without a location.
inline auto solver_context(const SourcedSolver& source) {
  return [&source](const Error& e) -> std::optional<Error> {
    if (!e.where().file.empty() || source.file.empty()) return std::nullopt;
    Location where = source.fields.find(e.field());
    if (where.file.empty()) where.file = source.file;
    return Error(e.message(), where, e.field());
  };
}

/// Checks the fields that no learning rate policy or update rule checks. Throws: Error.
void check_ranges(const SolverParameter& param);

/// A net of a solver, ready to build.
struct SolverNet {
  SourcedNet source;
  NetState state;  // phase, the net's own state and the solver's, merged in this order
};

/// Returns the train net. Throws: Error unless exactly one is given.
SolverNet train_net(const SourcedSolver& solver);

/// Returns test nets in Caffe's order: test_net_param, test_net, the common net for each remaining
/// test_iter. Throws: Error unless test_iter, test_state and test_interval match them.
std::vector<SolverNet> test_nets(const SourcedSolver& solver);

/// Returns the solver's parameters with every net that a file names as a message in its place, for
/// processes that may not have the file. Throws: Error if a file cannot be read.
SolverParameter with_nets_inside(const SourcedSolver& solver);

/// Returns the path to which snapshots append "_iter_N" and an extension: snapshot_prefix, with the
/// solver's name appended to a folder, or the solver file without its extension. Throws: Error if
/// there is neither.
std::string snapshot_prefix(const SourcedSolver& solver);

}  // namespace doppio
