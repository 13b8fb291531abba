#pragma once
#include <functional>
#include <string>
#include <vector>

#include "core/with_context.hpp"
#include "doppio.pb.h"
#include "net/format/source_map.hpp"

namespace doppio {

/// A solver and where it came from.
struct SourcedSolver {
  SolverParameter param;
  std::string file;
  FieldLocations fields;
  /// Changes every net that is read, ahead of its construction; may be empty.
  std::function<SourcedNet(SourcedNet, const NetState&)> edit = {};
};

/// Parses a solver prototxt. Throws: one Error with every unknown field and syntax error.
SourcedSolver read_solver(const std::string& file);

/// For with_context(): gives an Error without a place the line of the solver field that it names.
inline auto solver_context(const SourcedSolver& source) {
  return [&source](const Error& e) -> std::optional<Error> {
    if (!e.where().file.empty() || source.file.empty()) return std::nullopt;
    Location where = source.fields.find(e.field());
    if (where.file.empty()) where.file = source.file;
    return Error(e.message(), where, e.field());
  };
}

/// Checks the numbers that are no business of policies and rules. Throws: Error.
void check_ranges(const SolverParameter& param);

/// A net that a solver asks for, ready to build.
struct SolverNet {
  SourcedNet source;
  NetState state;  // phase, net's own state and the solver's, merged in this order
};

/// Throws: Error unless exactly one train net is given.
SolverNet train_net(const SourcedSolver& solver);

/// In Caffe's order: test_net_param, test_net, then the common net for each test_iter left over.
/// Throws: Error if test_iter, test_state and test_interval do not fit them.
std::vector<SolverNet> test_nets(const SourcedSolver& solver);

/// The path to which snapshots add "_iter_N" and more: snapshot_prefix, with the solver's name
/// added to a folder, or the solver file without its extension.
/// Throws: Error if there is neither.
std::string snapshot_prefix(const SourcedSolver& solver);

}  // namespace doppio
