#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "doppio/context.hpp"
#include "doppio/error.hpp"
#include "doppio/tensor.hpp"

namespace doppio {

class ChannelAffine;  // a factor and an offset per channel
class Layer;
class LayerParameter;  // the prototxt's `layer { }`, from doppio.pb.h
struct PoolingWork;    // what a Pooling layer does

using Bottoms = std::span<Blob* const>;  ///< inputs
using Tops = std::span<Blob* const>;     ///< outputs

/// Position of a layer that walks through data, in units that survive a change of batch size.
struct Cursor {
  std::uint64_t records = 0;  ///< records handed out since the start of training
  friend bool operator==(const Cursor&, const Cursor&) = default;
};

/// Bytes that a layer uses beside its blobs and params.
struct Scratch {
  Index held = 0;       ///< its own, kept from the first pass on
  Index workspace = 0;  ///< of Context::workspace(), which all layers share
};

/// What a layer does, in terms of a layer before it that may do so on the way. At most one member
/// is set; none: only the layer itself can do its work.
struct Follower {
  const ChannelAffine* norm = nullptr;  ///< y = factor * x + offset, per channel
  Layer* scale = nullptr;               ///< the same, by its params, which may want gradients
  const Tensor* addend = nullptr;       ///< y = x + addend, of one shape
  PoolingWork* pool = nullptr;          ///< pooling
  bool relu = false;                    ///< y = max(0, x), in place

  bool empty() const { return !norm && !scale && !addend && !pool && !relu; }
};

/// The layers after one, in the order in which they work on its top.
using Followers = std::span<const Follower>;

/// One operation of a net. The constructor reads the parameters; the three functions do the rest.
///
/// A layer keeps parameters, checks and geometry; it throws Error for what the user can mend and
/// the net adds the layer's name, its line in the prototxt and the bottom shapes.
class Layer {
 public:
  virtual ~Layer() = default;

  /// Checks the bottoms' shapes and sizes tops, params and scratch. Runs before every forward, so
  /// it must be cheap when nothing changed; the first call also fills new params.
  virtual void reshape(Context& ctx, Bottoms bottom, Tops top) = 0;

  /// Computes top data from bottom data.
  virtual void forward(Context& ctx, Bottoms bottom, Tops top) = 0;

  /// Throws what was wrong with the bottoms of the last forward pass, where that would have had to
  /// wait for the device to find out. Called after every pass on the CPU; on an accelerator where a
  /// loss is not finite, so layers make it so.
  virtual void verify(Context& /*ctx*/, Bottoms /*bottom*/) {}

  /// Computes bottom grad (overwritten, only where `wanted`) from top grad, and adds to the grad of
  /// params that need it.
  virtual void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom);

  /// What the layer does to `x`, which is one of its bottoms. Asked at any time once it is made.
  virtual Follower as_follower(Bottoms /*bottom*/, const Blob& /*x*/) { return {}; }

  /// Returns how many of these layers, from the first one on, forward and backward are to do the
  /// work of (layer fusion). Asked anew after every reshape and answered independently of earlier
  /// answers. forward is then given the top of the last of them to write, which is `top` if it
  /// takes them all, and backward reads the gradient of that. `backward`: a backward pass follows;
  /// a `norm` and an `addend` are only offered where none does.
  virtual std::size_t fuse(Followers /*followers*/, Tops /*top*/, bool /*backward*/) { return 0; }

  /// Where the layer stands in its data; layers without a position return and ignore a default
  /// Cursor.
  virtual Cursor cursor() const { return {}; }
  virtual void seek(const Cursor&) {}
  /// Seconds that forward has spent waiting for data so far: what reading costs the training.
  virtual double input_wait_seconds() const { return 0; }
  /// Where item `item` of the batch in the tops came from, for messages; empty if it is unknown.
  virtual std::string item_name(Index /*item*/) const { return {}; }

  /// What `doppio plan` has to add; known after reshape().
  virtual Scratch scratch() const { return {}; }

  /// Learnable parameters, in .caffemodel order.
  std::vector<Blob> params;

  /// Set by the net: no backward pass follows, so what forward computes from nothing but params may
  /// be kept until their version() changes.
  bool inference = false;
};

}  // namespace doppio
