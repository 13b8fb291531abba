#pragma once
// Common parts of the commands that run a net.
#include <memory>
#include <string>
#include <vector>

#include "doppio.pb.h"
#include "doppio/net.hpp"
#include "net/format/source_map.hpp"
#include "solver/read_solver.hpp"
#include "tools/overrides.hpp"

namespace doppio {

/// Returns the GPU numbers in --gpu. Throws: UsageError if there are none.
std::vector<int> gpu_numbers();

/// Returns a context for each GPU in --gpu. Throws: UsageError for an invalid number, Error if
/// there is no such GPU.
std::vector<std::unique_ptr<Context>> open_gpus();

/// Returns a context for the GPU in --gpu, or for the CPU without that flag. Throws: as
/// open_gpus(), and UsageError for more than one GPU.
Context open_context();

/// Applies --no_fusion and --reference.
void apply_flags(Context& ctx);

/// Returns `phase` with the level and stages of --level and --stage.
NetState state_of_flags(Phase phase);

/// Returns the phase of --phase, or TRAIN and TEST without that flag. Throws: UsageError for
/// another value.
std::vector<Phase> phases_of_flag();

/// Reads the net of `file`, or of --model, and applies --set for `state`.
SourcedNet read_model(Overrides& overrides, const NetState& state, const std::string& file);
SourcedNet read_model(Overrides& overrides, const NetState& state);

/// Applies `overrides` to every net that the solver reads. Throws: Error if one of them changes
/// nothing.
void edit_nets(SourcedSolver& solver, Overrides& overrides);

/// Copies weights from `files` by layer name and logs the result as log_copied_layers(). Throws:
/// Error if the shapes of a layer differ.
void load_weights(Net& net, const std::vector<std::string>& files);

/// Logs how many layers got weights from `file` or, with --verbose or if some did not get any, a
/// table of all layers. Throws: Error if nothing was copied to a net that has parameters.
void log_copied_layers(Net& net, const std::vector<CopiedLayer>& copied, const std::string& file);

/// Warns if the `batches` batches already run read some records of the data more than once.
void note_repeated_images(Net& net, Index batches);

}  // namespace doppio
