#pragma once
#include <optional>

#include "doppio/shape.hpp"

namespace doppio {

/// One pass over all records of a data layer, in batches.
struct Epoch {
  Index records = 0;  ///< after which the first one comes again, at least 1
  Index batch = 0;    ///< records in a batch, at least 1

  Index batches() const { return (records + batch - 1) / batch; }
  /// Records of the last batch that belong to this pass: 1 to `batch`.
  Index last_batch() const { return records - (batches() - 1) * batch; }
  friend bool operator==(const Epoch&, const Epoch&) = default;
};

/// Implemented by data layers whose records come to an end, as those of a database do and random
/// values do not.
class EpochSource {
 public:
  virtual ~EpochSource() = default;

  /// Returns the pass over the records that this layer gets, or nullopt while their number is not
  /// known. `count`: find out, even if that takes a pass over all keys of a database.
  virtual std::optional<Epoch> epoch(bool count) = 0;

  /// From the next forward pass on, shows the first `records` of each batch, 1 to the batch size,
  /// and drops the others: for the end of a pass over all records.
  virtual void show_first(Index records) = 0;
};

}  // namespace doppio
