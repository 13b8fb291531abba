#pragma once
#include "core/host_device.hpp"
#include "doppio/context.hpp"

namespace doppio {

/// Numbers the values of a blob as they are numbered in the whole batch, of which this net may
/// process one shard, and in the whole layer, of which it may hold one part. Layers that draw a
/// random number per value draw by these numbers, so that several devices draw what one device
/// would.
struct BatchDraws {
  Index items;   ///< runs of consecutive numbers: the items of the batch, or 1 for all values
  Index values;  ///< per run
  Index stride = 0, offset = 0;

  /// Numbers the values of a blob whose first axis is the shard's items and whose second is the
  /// part's channels.
  BatchDraws(const Shard& shard, const ChannelPart& part, const Shape& shape) {
    const Index pieces = Index{shard.count} * part.count;  // that make up the whole
    const bool whole = pieces == 1 || shape.axes() == 0 || shape[0] == 0;
    items = whole ? 1 : shape[0];
    values = shape.count() / items;
    stride = whole ? 0 : values * pieces;
    offset = whole ? 0 : values * (Index{shard.index} * part.count + part.index);
  }

  /// Returns the number of an item's first value.
  HOST_DEVICE Index first(Index item) const { return item * stride + offset; }
  /// Returns the number of value `i`.
  HOST_DEVICE Index operator()(Index i) const { return first(i / values) + i % values; }
};

}  // namespace doppio
