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

/// Position of a data layer in its records, independent of the batch size.
struct Cursor {
  std::uint64_t records = 0;  ///< records output since the start of training
  friend bool operator==(const Cursor&, const Cursor&) = default;
};

/// Bytes that a layer uses in addition to its blobs and params.
struct Scratch {
  Index held = 0;       ///< owned by the layer from the first pass on
  Index workspace = 0;  ///< of Context::workspace(), which all layers share
};

/// The operation of a layer, described for a preceding layer that may absorb it (layer fusion). At
/// most one member is set; if none is, the layer cannot be absorbed.
struct Follower {
  const ChannelAffine* norm = nullptr;  ///< y = factor * x + offset, per channel
  Layer* scale = nullptr;               ///< the same with its params, which may need gradients
  const Tensor* addend = nullptr;       ///< y = x + addend, of the same shape
  PoolingWork* pool = nullptr;          ///< pooling
  bool relu = false;                    ///< y = max(0, x), in place

  bool empty() const { return *this == Follower{}; }
  friend bool operator==(const Follower&, const Follower&) = default;
};

/// The layers that follow a layer, in the order in which they process its top.
using Followers = std::span<const Follower>;

/// One operation of a net. The constructor reads the parameters; reshape(), forward() and
/// backward() do the work.
///
/// A layer throws Error for mistakes that the user can correct. The net adds the layer's name, its
/// line in the prototxt and the bottom shapes.
class Layer {
 public:
  virtual ~Layer() = default;

  /// Checks the shapes of the bottoms and resizes tops, params and scratch. Runs before every
  /// forward, so it must be cheap if no shape has changed. The first call also fills new params.
  virtual void reshape(Context& ctx, Bottoms bottom, Tops top) = 0;

  /// Computes top data from bottom data.
  virtual void forward(Context& ctx, Bottoms bottom, Tops top) = 0;

  /// Throws Error for invalid bottom values, such as labels, that forward() cannot check without
  /// waiting for the device. Called after every forward pass on the CPU. Called on an accelerator
  /// only if a loss is not finite, so forward() makes it NaN in such cases.
  virtual void verify(Context& /*ctx*/, Bottoms /*bottom*/) {}

  /// From top grads, computes the bottom grads that are `wanted` (overwriting them) and adds to the
  /// grads of params that need them.
  virtual void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom);

  /// Describes the operation on `x`, one of the bottoms, for layer fusion. Callable at any time.
  virtual Follower as_follower(Bottoms /*bottom*/, const Blob& /*x*/) { return {}; }

  /// Layer fusion: returns how many of `followers`, counted from the first, this layer absorbs.
  /// Called after every reshape; the result must not depend on earlier calls. forward then writes
  /// the top of the last absorbed layer, which is `top` if all are absorbed, and backward reads its
  /// gradient. `backward` is true if a backward pass follows; a `norm` or `addend` is only offered
  /// if none does.
  virtual std::size_t fuse(Followers /*followers*/, Tops /*top*/, bool /*backward*/) { return 0; }

  /// Returns the layer's position in its data. Layers without one return and ignore a default
  /// Cursor.
  virtual Cursor cursor() const { return {}; }
  virtual void seek(const Cursor&) {}
  /// Total seconds that forward has waited for data.
  virtual double input_wait_seconds() const { return 0; }
  /// Source of item `item` of the batch in the tops, for messages; empty if unknown.
  virtual std::string item_name(Index /*item*/) const { return {}; }

  /// Memory that `doppio plan` adds; valid after reshape().
  virtual Scratch scratch() const { return {}; }

  /// Learnable parameters, in .caffemodel order.
  std::vector<Blob> params;

  /// Set by the net if no backward pass follows. forward may then cache what it computes only from
  /// params until their version() changes.
  bool inference = false;
};

}  // namespace doppio
