#pragma once
#include <optional>

#include "doppio/shape.hpp"

namespace doppio {

/// One pass over all records of a data layer, in batches.
struct Epoch {
  Index records = 0;  ///< total number of records, at least 1
  Index batch = 0;    ///< records in a batch, at least 1

  Index batches() const { return (records + batch - 1) / batch; }
  /// Records of the last batch that belong to this pass: 1 to `batch`.
  Index last_batch() const { return records - (batches() - 1) * batch; }
  friend bool operator==(const Epoch&, const Epoch&) = default;
};

/// Implemented by data layers with a finite number of records, such as those of a database.
class EpochSource {
 public:
  virtual ~EpochSource() = default;

  /// Returns the epoch of this layer, or nullopt while the number of records is unknown. If `count`
  /// is true, counts them, which may take a pass over all keys of a database.
  virtual std::optional<Epoch> epoch(bool count) = 0;

  /// From the next forward pass on, outputs only the first `records` of each batch, 1 to the batch
  /// size. Used for the last batch of an epoch.
  virtual void show_first(Index records) = 0;
};

}  // namespace doppio
