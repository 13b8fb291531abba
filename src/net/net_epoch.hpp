#pragma once
#include <optional>
#include <string>

#include "doppio/extend/epoch.hpp"
#include "doppio/net.hpp"

namespace doppio {

/// One pass over the data of `net`: of its data layers the one that needs the most batches. Returns
/// nullopt if no layer has an end that is known; `count` as in EpochSource::epoch().
std::optional<Epoch> epoch_of(Net& net, bool count);

/// Makes the data layers that have an end show the first `records` of each batch from the next
/// forward pass on.
void show_first(Net& net, Index records);

/// Returns why `net` cannot run on the records that are left for the last batch of `epoch`, or ""
/// if it can. For nets that have not run yet.
std::string refuses_last_batch(Net& net, const Epoch& epoch);

/// "250 images are 12.5 passes over 20"; empty unless `batches` read some record more than once.
std::string repeated_records(const Epoch& epoch, Index batches);

}  // namespace doppio
