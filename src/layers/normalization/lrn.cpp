#include "layers/normalization/lrn.hpp"

#include <algorithm>

#include "doppio.pb.h"
#include "doppio/registry.hpp"
#include "layers/normalization/blocked_lrn.hpp"
#include "layers/normalization/device_lrn.hpp"
#include "layers/pooling/pooling.hpp"
#include "layers/support/run_layout.hpp"
#include "math/strips.hpp"

namespace doppio {
namespace {

/// Neighbours of a value are those at its pixel in the channels around.
struct AcrossChannels {
  Index outer, middle, inner;  ///< N, C, H * W
  Index reach;                 ///< neighbours on each side

  /// sums[i] = sum of f(index) over value i of the strip at (n, c, begin) and its neighbours.
  template <class F>
  HOST_DEVICE void sum(Index n, Index c, Index begin, float* sums, F f) const {
    const Index width = strip_width(begin, inner);
    const Index first = c < reach ? 0 : c - reach;
    const Index last = c + reach < middle ? c + reach : middle - 1;
    for (Index channel = first; channel <= last; ++channel) {
      const Index at = (n * middle + channel) * inner + begin;
      for (Index i = 0; i < width; ++i) sums[i] += f(at + i);
    }
  }
};

/// Neighbours of a value are those in a square around it in its own channel.
struct WithinChannel {
  Index outer, middle, inner;  ///< N * C, H, W
  Index reach;

  template <class F>
  HOST_DEVICE void sum(Index map, Index h, Index begin, float* sums, F f) const {
    const Index width = strip_width(begin, inner);
    const Index h_last = h + reach < middle ? h + reach : middle - 1;
    for (Index row = h < reach ? 0 : h - reach; row <= h_last; ++row)
      for (Index shift = -reach; shift <= reach; ++shift) {
        const Index w = begin + shift, at = (map * middle + row) * inner + w;
        const Index end = inner - w < width ? inner - w : width;
        for (Index i = w < 0 ? -w : 0; i < end; ++i) sums[i] += f(at + i);
      }
  }
};

/// y = x * s^-beta, with s = k + alpha * sum of x^2 over the neighbours.
template <class Neighbours, class Factors>
void normalize(Context& ctx, const Neighbours& neighbours, Factors factors,
               const LrnFormula& formula, const float* x, float* y) {
  const Index A = neighbours.outer, B = neighbours.middle, C = neighbours.inner;
  parallel_for(ctx, {A, B, strips(C)}, std::min(C, kStrip),
               [=, near = neighbours, k = formula.k, alpha = formula.alpha] KERNEL(Index a, Index b,
                                                                                   Index strip) {
    float squares[kStrip] = {};
    near.sum(a, b, strip * kStrip, squares, [=](Index i) { return x[i] * x[i]; });
    const Index begin = (a * B + b) * C + strip * kStrip, width = strip_width(strip * kStrip, C);
    for (Index i = 0; i < width; ++i)
      y[begin + i] = x[begin + i] * factors(k + alpha * squares[i]).power;
  });
}

/// dx = dy * s^-beta, the first term of the gradient, and ratio = dy * y / s.
template <class Neighbours, class Factors>
void direct_gradient(Context& ctx, const Neighbours& neighbours, Factors factors,
                     const LrnFormula& formula, const float* x, const float* dy, float* ratio,
                     float* dx) {
  const Index A = neighbours.outer, B = neighbours.middle, C = neighbours.inner;
  parallel_for(ctx, {A, B, strips(C)}, std::min(C, kStrip),
               [=, near = neighbours, k = formula.k, alpha = formula.alpha] KERNEL(Index a, Index b,
                                                                                   Index strip) {
    float squares[kStrip] = {};
    near.sum(a, b, strip * kStrip, squares, [=](Index i) { return x[i] * x[i]; });
    const Index begin = (a * B + b) * C + strip * kStrip, width = strip_width(strip * kStrip, C);
    for (Index i = 0; i < width; ++i) {
      const LrnFactors f = factors(k + alpha * squares[i]);
      const float scaled = dy[begin + i] * f.power;
      dx[begin + i] = scaled;
      ratio[begin + i] = scaled * x[begin + i] * f.inverse;
    }
  });
}

/// dx -= pull * x * sum of ratio over the neighbours.
template <class Neighbours>
void subtract_pulls(Context& ctx, const Neighbours& neighbours, float pull, const float* x,
                    const float* ratio, float* dx) {
  const Index A = neighbours.outer, B = neighbours.middle, C = neighbours.inner;
  parallel_for(ctx, {A, B, strips(C)}, std::min(C, kStrip),
               [=, near = neighbours] KERNEL(Index a, Index b, Index strip) {
    float sums[kStrip] = {};
    near.sum(a, b, strip * kStrip, sums, [=](Index i) { return ratio[i]; });
    const Index begin = (a * B + b) * C + strip * kStrip, width = strip_width(strip * kStrip, C);
    for (Index i = 0; i < width; ++i) dx[begin + i] -= pull * x[begin + i] * sums[i];
  });
}

/// Values of the images that a thread works on at a time where results are only on their way: on a
/// CPU one image at least, to stay in its cache.
constexpr Index kPiece = kDevice == Device::cuda ? 1 << 24 : 1;

/// Local response normalization: a value counts for less where its neighbours are large.
///
/// Shapes: N x C x H x W in and out. y = x * (k + alpha * m)^(-beta), where m is the mean of x^2
/// over local_size (odd, default 5) channels around (norm_region ACROSS_CHANNELS) or over a square
/// of local_size pixels a side (WITHIN_CHANNEL, which takes 1 for k); what lies outside the blob
/// counts as 0. Defaults: alpha 1, beta 0.75, k 1.
///
/// Throws: Error if local_size is even or the bottom has not 4 axes.
/// Can do the work of a pooling layer behind it, so that what is between them never leaves the
/// cache. Source: Krizhevsky et al. (2012), whose alpha is alpha / local_size here; matches Caffe.
class Lrn final : public Layer {
 public:
  explicit Lrn(const LayerParameter& layer)
      : size_(layer.lrn_param().local_size()),
        across_(layer.lrn_param().norm_region() == LRNParameter::ACROSS_CHANNELS),
        reference_(layer.lrn_param().engine() == LRNParameter::GEMM),
        beta_(layer.lrn_param().beta()),
        k_(across_ ? layer.lrn_param().k() : 1) {
    require_field(size_ % 2 == 1, "lrn_param.local_size", "local_size must be odd, not ", size_);
    const auto size = static_cast<float>(size_);
    alpha_ = layer.lrn_param().alpha() / (across_ ? size : size * size);
  }

  void reshape(Context& ctx, Bottoms bottom, Tops top) override {
    reference_ = reference_ || ctx.reference;
    const Shape& shape = bottom[0]->shape();
    require(shape.axes() == 4, "LRN needs a bottom of 4 axes (N x C x H x W), not ", shape.text());
    require(kDevice == Device::cpu || shape.count_from(1) < Index{1} << 31,
            "a GPU normalizes images of less than 2^31 values, not ", shape.text());
    top[0]->reshape(shape);
    shape_ = shape;
  }

  Scratch scratch() const override {
    const Index rooms = (pool_ ? 1 : 0) + (knows_blocks(shape_) ? 0 : 1);
    return {.workspace = rooms * room_for_pieces() * static_cast<Index>(sizeof(float))};
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    layout_ = choose_layout(ctx, *bottom[0]);
    const float* x = bottom[0]->data.read(ctx, layout_);
    float* y = top[0]->data.write(ctx, layout_);
    if constexpr (kDevice == Device::cuda) {
      if (pool_)
        return lrn_pool_on_device(ctx, device_maps(), formula(shape_), pool_->device_pool(), x, y,
                                  reinterpret_cast<std::uint8_t*>(pool_->write_picks(ctx)));
      if (runs_on_maps()) return lrn_on_device(ctx, device_maps(), formula(shape_), x, y);
    }
    if (!pool_) return normalize_images(ctx, shape_, x, y);
    float* rooms = ctx.workspace(room_for_pieces());
    float* picks = pool_->write_picks(ctx);
    for_each_piece([&](const Piece& piece) {
      float* normalized = rooms + piece.room;
      normalize_images(ctx, piece.shape, x + piece.begin, normalized);
      pool_->pool_images(ctx, layout_, piece.first_image, piece.shape[0], normalized, y, picks);
    });
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (!wanted[0]) return;
    const float* x = bottom[0]->data.read(ctx, layout_);
    const float* dy = top[0]->grad.read(ctx, layout_);
    float* dx = bottom[0]->grad.write(ctx, layout_);
    if constexpr (kDevice == Device::cuda) {
      if (pool_)
        return lrn_pool_backward_on_device(
            ctx, device_maps(), formula(shape_), pool_->device_pool(), x, dy,
            reinterpret_cast<const std::uint8_t*>(pool_->read_picks(ctx)), dx);
      if (runs_on_maps())
        return lrn_backward_on_device(ctx, device_maps(), formula(shape_), x, dy, dx);
    }
    if (layout_ == Layout::blocked && !pool_)
      return send_back_images(ctx, shape_, x, dy, nullptr, dx);
    float* ratios = ctx.workspace((pool_ ? 2 : 1) * room_for_pieces());
    float* sent_back = ratios + room_for_pieces();
    const float* picks = pool_ ? pool_->read_picks(ctx) : nullptr;
    for_each_piece([&](const Piece& piece) {
      const float* d = dy + piece.begin;
      if (pool_) {
        float* sent = sent_back + piece.room;
        pool_->send_back_images(ctx, layout_, piece.first_image, piece.shape[0], dy, picks, sent);
        d = sent;
      }
      send_back_images(ctx, piece.shape, x + piece.begin, d, ratios + piece.room, dx + piece.begin);
    });
  }

  bool fuse_pool(Layer* pool) override {
    const bool may = kDevice == Device::cuda ? runs_on_maps() : !reference_;
    pool_ = dynamic_cast<PoolsImages*>(may ? pool : nullptr);
    if (pool_ && !pool_->pools_images(knows_blocks(shape_) ? Layout::blocked : Layout::plain))
      pool_ = nullptr;
    return pool_ != nullptr;
  }

 private:
  void normalize_images(Context& ctx, const Shape& some, const float* x, float* y) const {
    if constexpr (kDevice == Device::cpu)
      if (layout_ == Layout::blocked) return lrn_blocked(ctx, blocks_of(some), formula(some), x, y);
    dispatch(some, [&](auto neighbours, auto factors) {
      normalize(ctx, neighbours, factors, formula(some), x, y);
    });
  }

  /// `ratio`: room for as many values, unless blocked.
  void send_back_images(Context& ctx, const Shape& some, const float* x, const float* dy,
                        float* ratio, float* dx) const {
    if constexpr (kDevice == Device::cpu)
      if (layout_ == Layout::blocked)
        return lrn_backward_blocked(ctx, blocks_of(some), formula(some), x, dy, dx);
    dispatch(some, [&](auto neighbours, auto factors) {
      direct_gradient(ctx, neighbours, factors, formula(some), x, dy, ratio, dx);
      subtract_pulls(ctx, neighbours, formula(some).pull(), x, ratio, dx);
    });
  }

  Layout choose_layout(const Context& ctx, const Blob& bottom) const {
    if (kDevice == Device::cuda) return runs_on_maps() ? bottom.data.layout() : Layout::plain;
    return knows_blocks(shape_) ? run_layout(ctx, bottom) : Layout::plain;
  }

  DeviceMaps device_maps() const { return {shape_[0], shape_[1], shape_[2], shape_[3], layout_}; }

  /// True if a GPU's own kernels take it (device_lrn.hpp).
  bool runs_on_maps() const { return across_ && !reference_; }
  bool knows_blocks(const Shape& s) const {
    return across_ && !reference_ && lrn_can_block(s[1], size_ / 2);
  }

  /// Some images of the bottom.
  struct Piece {
    Index first_image;
    Shape shape;
    Index begin;  ///< of their values among the bottom's
    Index room;   ///< of the thread's own room among all of them
  };

  Index images_per_piece() const {
    return std::max<Index>(1, kPiece / std::max<Index>(1, shape_.count_from(1)));
  }
  Index pieces() const { return (shape_[0] + images_per_piece() - 1) / images_per_piece(); }
  Index values_per_piece() const { return images_per_piece() * shape_.count_from(1); }
  Index room_for_pieces() const { return threads_for(pieces()) * values_per_piece(); }

  /// work(piece) for pieces that make up the bottom.
  template <class Work>
  void for_each_piece(Work work) const {
    const auto work_on = [&](Index i, Index thread) {
      const Index first = i * images_per_piece();
      const Index images = std::min(images_per_piece(), shape_[0] - first);
      work(Piece{first,
                 {images, shape_[1], shape_[2], shape_[3]},
                 i * values_per_piece(),
                 thread * values_per_piece()});
    };
    if (threads_for(pieces()) > 1) return for_each_by_a_thread(pieces(), work_on);
    // All threads work on each piece, outside of any parallel region: within one, each loop would
    // start new threads.
    for (Index i = 0; i < pieces(); ++i) work_on(i, 0);
  }

  LrnFormula formula(const Shape& s) const {
    const Index longest = *std::max_element(s.dims().begin(), s.dims().end());
    return {std::min(size_ / 2, longest), k_, alpha_, beta_};
  }

  /// run(neighbours, factors) with the types that the parameters ask for.
  template <class Run>
  void dispatch(const Shape& s, Run run) const {
    const Index reach = formula(s).reach;
    with_factors(beta_, [&](auto factors) {
      if (across_)
        run(AcrossChannels{s[0], s[1], s[2] * s[3], reach}, factors);
      else
        run(WithinChannel{s[0] * s[1], s[2], s[3], reach}, factors);
    });
  }

  Index size_;
  bool across_;
  bool reference_;  // compute by the generic kernels only
  float beta_, k_, alpha_;
  Shape shape_;                    // of the bottom
  Layout layout_ = Layout::plain;  // of the last forward pass
  PoolsImages* pool_ = nullptr;    // whose work this layer does as well
};

DOPPIO_REGISTER_LAYER("LRN", Lrn, .backward_reads_top = false);

}  // namespace
}  // namespace doppio
