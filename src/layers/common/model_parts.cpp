// The layers that the net inserts where the parts of a split net meet
// (NetParameter.model_parallel).
#include <vector>

#include "core/at.hpp"
#include "core/peers.hpp"
#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "math/kernel.hpp"

namespace doppio {
namespace {

int parts_of(const Context& ctx) { return ctx.peers ? ctx.peers->parts() : 1; }
int own_part(const Context& ctx) { return ctx.peers ? ctx.peers->part() : 0; }

/// Buffers for one message of `count` floats to or from every part.
class Messages {
 public:
  /// Returns one pointer per part: `own` for this part, memory for the others.
  std::vector<float*> write(Context& ctx, Index count, float* own) {
    const int parts = parts_of(ctx), me = own_part(ctx);
    memory_.reshape({parts - 1, count});
    float* const first = parts > 1 ? memory_.write(ctx) : nullptr;
    std::vector<float*> messages;
    for (int q = 0; q < parts; ++q)
      messages.push_back(q == me ? own : first + (q < me ? q : q - 1) * count);
    return messages;
  }

 private:
  Tensor memory_;
};

/// Sends to[q] to part q and receives from[q] from it, `count` floats each.
void exchange(Context& ctx, Index count, const std::vector<const float*>& to,
              const std::vector<float*>& from) {
  if (parts_of(ctx) == 1) return;
  const auto n = static_cast<std::size_t>(count);
  std::vector<std::span<const float>> sent;
  std::vector<std::span<float>> received;
  for (std::size_t q = 0; q < to.size(); ++q) {
    sent.emplace_back(to[q], n);
    received.emplace_back(from[q], n);
  }
  ctx.peers->exchange(ctx, sent, received);
}

/// sum = terms[0] + terms[1] + ..., added in this order, so that all parts get the same bits.
void add_in_order(Context& ctx, Index count, const std::vector<const float*>& terms, float* sum) {
  for (std::size_t q = 0; q < terms.size(); ++q)
    parallel_for(ctx, count, [=, first = q == 0, term = terms[q]] KERNEL(Index i) {
      sum[i] = first ? term[i] : sum[i] + term[i];
    });
}

/// The slices of a blob that the parts hold.
struct Slices {
  Index items = 0, values = 0, parts = 1;  ///< N, values of an item of one slice, slices

  Index count() const { return items * values; }  ///< of one slice
};

/// slice = slice number `part` of `whole`.
void take_slice(Context& ctx, const Slices& slices, Index part, const float* whole, float* slice) {
  parallel_for(ctx, {1, slices.items, slices.values},
               [=, V = slices.values, P = slices.parts] KERNEL(Index, Index n, Index i) {
    slice[n * V + i] = whole[(n * P + part) * V + i];
  });
}

/// Slice number `part` of `whole` = slice.
void put_slice(Context& ctx, const Slices& slices, Index part, const float* slice, float* whole) {
  parallel_for(ctx, {1, slices.items, slices.values},
               [=, V = slices.values, P = slices.parts] KERNEL(Index, Index n, Index i) {
    whole[(n * P + part) * V + i] = slice[n * V + i];
  });
}

/// Turns the slices that the parts hold, N x C x ..., into the whole blob, N x parts * C x ....
///
/// PartGather (all-gather) is for layers that every part computes alike: they get the same
/// gradient, of which each part takes its slice. PartGatherCopies (all-gather, backward
/// reduce-scatter) is for layers of which each part computes its outputs: every part gets a
/// gradient of the whole, and the slices of all of them are added in the order of the parts.
/// Without Context::peers, both copy their bottom. Source: the paper's layers that read the maps of
/// both GPUs: Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks"
/// (2012), section 3.5.
class PartGather final : public Layer {
 public:
  explicit PartGather(const LayerParameter& p) : adds_(p.type() == "PartGatherCopies") {}

  void reshape(Context& ctx, Bottoms bottom, Tops top) override {
    const Shape& shape = bottom[0]->shape();
    require(shape.axes() >= 2, "needs a bottom with channels (N x C x ...), not ", shape.text());
    top[0]->reshape(shape.with(1, shape[1] * parts_of(ctx)));
    slices_ = {shape[0], shape.count_from(1), parts_of(ctx)};
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    const Index count = slices_.count();
    const float* x = bottom[0]->data.read(ctx);
    const std::vector<float*> received = received_.write(ctx, count, nullptr);
    exchange(ctx, count, std::vector<const float*>(received.size(), x), received);
    float* y = top[0]->data.write(ctx);
    for (int q = 0; q < parts_of(ctx); ++q)
      put_slice(ctx, slices_, q, q == own_part(ctx) ? x : at(received, q), y);
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (!wanted[0]) return;
    const Index count = slices_.count();
    const float* dy = top[0]->grad.read(ctx);
    float* dx = bottom[0]->grad.write(ctx);
    if (!adds_ || parts_of(ctx) == 1) return take_slice(ctx, slices_, own_part(ctx), dy, dx);
    own_.reshape({count});
    float* const own = own_.write(ctx);
    const std::vector<float*> sent = sent_.write(ctx, count, own);
    for (int q = 0; q < parts_of(ctx); ++q) take_slice(ctx, slices_, q, dy, at(sent, q));
    const std::vector<float*> received = received_.write(ctx, count, own);
    exchange(ctx, count, {sent.begin(), sent.end()}, received);
    add_in_order(ctx, count, {received.begin(), received.end()}, dx);
  }

 private:
  bool adds_;
  Slices slices_;
  Messages sent_, received_;
  Tensor own_;  // this part's share of the gradient
};

/// Lets every part compute its outputs from a blob that all of them hold (backward all-reduce): the
/// top is a view of the bottom, whose gradient is the sum of the parts', added in their order.
/// Without Context::peers it is the identity.
class PartCopies final : public Layer {
 public:
  explicit PartCopies(const LayerParameter&) {}

  void reshape(Context&, Bottoms bottom, Tops top) override {
    top[0]->reshape(bottom[0]->shape());
    top[0]->data.share(bottom[0]->data);
  }

  void forward(Context&, Bottoms, Tops) override {}

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (!wanted[0]) return;
    const Index count = bottom[0]->count();
    const float* dy = top[0]->grad.read(ctx);
    std::vector<float*> received = received_.write(ctx, count, nullptr);
    exchange(ctx, count, std::vector<const float*>(received.size(), dy), received);
    std::vector<const float*> terms(received.begin(), received.end());
    at(terms, own_part(ctx)) = dy;
    add_in_order(ctx, count, terms, bottom[0]->grad.write(ctx));
  }

 private:
  Messages received_;
};

using PartGatherCopies = PartGather;

DOPPIO_REGISTER_LAYER("PartGather", PartGather, .backward_reads_bottom = false,
                      .backward_reads_top = false);
DOPPIO_REGISTER_LAYER("PartGatherCopies", PartGatherCopies, .backward_reads_bottom = false,
                      .backward_reads_top = false);
DOPPIO_REGISTER_LAYER("PartCopies", PartCopies, .backward_reads_bottom = false,
                      .backward_reads_top = false);

}  // namespace
}  // namespace doppio
