#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "doppio/context.hpp"
#include "doppio/error.hpp"
#include "doppio/tensor.hpp"

namespace doppio {

class LayerParameter;  // the prototxt's `layer { }`, from doppio.pb.h

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

  /// Offers to take over the ReLU that follows in place. True: from now on forward gives max(0, y)
  /// and, if `backward` is to be run, backward takes the top's gradient as that behind the ReLU.
  /// Asked after every reshape, of layers that may say no.
  virtual bool fuse_relu(Tops /*top*/, bool /*backward*/) { return false; }

  /// Offers to take over the Scale layer that follows in place, with a bias, over the channels.
  /// True: forward and backward do its work too, and add to the gradients of its params. Comes
  /// before fuse_relu().
  virtual bool fuse_scale(Layer& /*scale*/, bool /*backward*/) { return false; }

  /// Offers to take over the BatchNorm that follows, and the Scale that this one has taken over;
  /// null: to do so no longer. Asked before fuse_sum() and fuse_relu(), and never to take over
  /// where a backward pass follows.
  virtual bool fuse_norm(Layer* /*norm*/) { return false; }

  /// Offers to add `addend`, of the top's shape, to what forward writes; null: to do so no longer.
  /// Asked as fuse_norm() is.
  virtual bool fuse_sum(const Tensor* /*addend*/) { return false; }

  /// Offers to take over the Pooling that follows: forward then writes that layer's top, and
  /// backward reads the gradient of it. Null: to do so no longer.
  virtual bool fuse_pool(Layer* /*pool*/) { return false; }

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

  /// Set by the net: no backward pass follows, so what forward computes from params alone may be
  /// kept until their version() changes.
  bool inference = false;
};

}  // namespace doppio
