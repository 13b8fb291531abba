#pragma once
#include <optional>
#include <string>
#include <vector>

#include "doppio/extend/epoch.hpp"
#include "doppio/net.hpp"

namespace doppio {

/// Returns the epochs of the data layers of `net` that implement EpochSource, in their order.
/// nullopt for those without a known end. `count` as in EpochSource::epoch().
std::vector<std::optional<Epoch>> epochs_of(Net& net, bool count);

/// Returns one epoch of `net`: that of the data layer that needs the most batches, or nullopt if no
/// data layer has a known end. `count` as in EpochSource::epoch().
std::optional<Epoch> epoch_of(Net& net, bool count);

/// Limits each batch of the data layers that have an end to its first `records`, from the next
/// forward pass on.
void show_first(Net& net, Index records);

/// Returns why `net` cannot run on the remaining records in the last batch of `epoch`, or "" if it
/// can. Only for nets that have not run yet.
std::string refuses_last_batch(Net& net, const Epoch& epoch);

/// Returns "250 images are 12.5 passes over 20", or "" if `batches` read no record twice.
std::string repeated_records(const Epoch& epoch, Index batches);

}  // namespace doppio
