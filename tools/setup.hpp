#pragma once
// What the commands that run a net have in common.
#include <memory>
#include <string>
#include <vector>

#include "doppio.pb.h"
#include "doppio/net.hpp"
#include "net/format/source_map.hpp"
#include "solver/read_solver.hpp"
#include "tools/overrides.hpp"

namespace doppio {

/// The numbers of the GPUs that --gpu names. Throws: UsageError if it names none.
std::vector<int> gpu_numbers();

/// A context on each GPU that --gpu names. Throws: UsageError for a bad number; Error if there is
/// no such GPU.
std::vector<std::unique_ptr<Context>> open_gpus();

/// A context on the GPU that --gpu names, or on the CPU without that flag.
/// Throws: as open_gpus(); UsageError for more than one.
Context open_context();

/// Sets what --no_fusion and --reference ask for.
void apply_flags(Context& ctx);

/// `phase` with the level and stages of --level and --stage.
NetState state_of_flags(Phase phase);

/// The phase that --phase names, or TRAIN and TEST without that flag.
/// Throws: UsageError for another value.
std::vector<Phase> phases_of_flag();

/// The net of `file`, or of --model, as it stands there, with --set applied for `state`.
SourcedNet read_model(Overrides& overrides, const NetState& state, const std::string& file);
SourcedNet read_model(Overrides& overrides, const NetState& state);

/// Makes `overrides` apply to every net that the solver reads. Throws: Error if one of them meets
/// nothing.
void edit_nets(SourcedSolver& solver, Overrides& overrides);

/// Copies weights from `files` by layer name and logs a table of what became of each layer.
/// Throws: Error if a layer does not fit.
void load_weights(Net& net, const std::vector<std::string>& files);

/// Logs a table of what became of each layer whose weights were copied from `file`. Throws: Error
/// if nothing was copied to a net that has parameters.
void log_copied_layers(Net& net, const std::vector<CopiedLayer>& copied, const std::string& file);

/// Warns if `batches` batches held some records of the net's data more than once. For after them.
void note_repeated_images(Net& net, Index batches);

}  // namespace doppio
