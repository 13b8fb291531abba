#include "layers/pooling/pooling.hpp"

#include <string>

#include "doppio.pb.h"
#include "doppio/registry.hpp"
#include "layers/pooling/blocked_pooling.hpp"
#include "layers/pooling/device_pooling.hpp"
#include "layers/pooling/tiled_pooling.hpp"
#include "layers/support/run_layout.hpp"
#include "layers/support/sizes.hpp"

namespace doppio {
namespace {

/// A size along both axes, read from `field` or from `field`_h and `field`_w.
struct Pair {
  Index h, w;
};

Pair read_pair(const std::string& both_field, const std::string& field, bool has_both, Index both,
               bool has_h, Index h, bool has_w, Index w) {
  require_field(!has_both || !(has_h || has_w), "pooling_param." + both_field, "give either ",
                both_field, " or both ", field, "_h and ", field, "_w");
  require_field(has_h == has_w, "pooling_param." + field + (has_h ? "_h" : "_w"), "give both ",
                field, "_h and ", field, "_w; ", field, has_h ? "_w" : "_h", " is missing");
  require_size(both, "pooling_param." + both_field);
  require_size(h, "pooling_param." + field + "_h");
  require_size(w, "pooling_param." + field + "_w");
  return has_h ? Pair{h, w} : Pair{both, both};
}

std::string text(Index h, Index w) { return h == w ? str(h) : str(h, "x", w); }

template <class Place>
constexpr bool kBytesOnCpu = kDevice == Device::cpu && sizeof(Place) == 1;

/// Shrinks each channel's map to one number per window; the windows, kernel_h x kernel_w pixels,
/// lie stride_h and stride_w pixels apart.
///
/// Shapes: N x C x H x W -> N x C x OH x OW with OH = ceil((H + 2 pad - kernel) / stride) + 1
/// (floor with round_mode FLOOR), less one if there is padding and the last window would begin
/// beyond it. pool MAX: the largest value. AVE: the sum divided by the window's area within the
/// padded map. STOCHASTIC: in TRAIN a value drawn with probability proportional to it, in TEST
/// sum(x^2)/sum(x); for x >= 0. A second top, MAX only, is the index h * W + w of each maximum (the
/// first, of equal ones). global_pooling: one window, the whole map.
///
/// Throws: Error if sizes are missing, contradict each other or do not fit the map.
/// Source: matches Caffe, which has no STOCHASTIC on the CPU and lets windows be empty.
class Pooling final : public Layer, public PoolsImages {
 public:
  explicit Pooling(const LayerParameter& layer)
      : method_(layer.pooling_param().pool()),
        global_(layer.pooling_param().global_pooling()),
        floor_(layer.pooling_param().round_mode() == PoolingParameter::FLOOR),
        train_(layer.phase() == TRAIN),
        reference_(layer.pooling_param().engine() == PoolingParameter::GEMM),
        stream_(stream_of(layer.name())) {
    const PoolingParameter& p = layer.pooling_param();
    const Pair kernel = read_pair("kernel_size", "kernel", p.has_kernel_size(), p.kernel_size(),
                                  p.has_kernel_h(), p.kernel_h(), p.has_kernel_w(), p.kernel_w());
    const Pair stride = read_pair("stride", "stride", p.has_stride(), p.stride(), p.has_stride_h(),
                                  p.stride_h(), p.has_stride_w(), p.stride_w());
    const Pair pad = read_pair("pad", "pad", p.has_pad(), p.pad(), p.has_pad_h(), p.pad_h(),
                               p.has_pad_w(), p.pad_w());
    kernel_field_ = p.has_kernel_h() ? "pooling_param.kernel_h" : "pooling_param.kernel_size";
    require_field(stride.h > 0 && stride.w > 0, "pooling_param.stride",
                  "stride must be at least 1");
    if (global_) {
      require_field(!p.has_kernel_size() && !p.has_kernel_h(), kernel_field_,
                    "global_pooling pools the whole map; remove the kernel size");
      require_field(pad.h == 0 && pad.w == 0 && stride.h == 1 && stride.w == 1,
                    "pooling_param.global_pooling", "global_pooling needs pad 0 and stride 1");
    } else {
      require_field(p.has_kernel_size() || p.has_kernel_h(), "pooling_param",
                    "kernel_size is missing; global_pooling: true takes the whole map");
      require_field(kernel.h > 0 && kernel.w > 0, kernel_field_, "kernel_size must be at least 1");
      require_field(pad.h < kernel.h && pad.w < kernel.w, "pooling_param.pad", "pad ",
                    text(pad.h, pad.w), " must be less than kernel_size ",
                    text(kernel.h, kernel.w));
    }
    require_field(method_ != PoolingParameter::STOCHASTIC || (pad.h == 0 && pad.w == 0),
                  "pooling_param.pad", "pad works with MAX and AVE only, not with STOCHASTIC");
    windows_.rows = {.kernel = kernel.h, .stride = stride.h, .pad = pad.h};
    windows_.cols = {.kernel = kernel.w, .stride = stride.w, .pad = pad.w};
  }

  void reshape(Context& ctx, Bottoms bottom, Tops top) override {
    reference_ = reference_ || ctx.reference;
    const Shape& in = bottom[0]->shape();
    require(in.axes() == 4 && in[2] > 0 && in[3] > 0,
            "Pooling needs N x C x H x W with H and W at least 1, not ", in.text());
    require(method_ == PoolingParameter::AVE || in[2] * in[3] <= 1 << 24,
            "maps of more than 2^24 pixels: their indices do not fit a float");
    require(kDevice == Device::cpu || in.count_from(1) < Index{1} << 31,
            "a GPU pools images of less than 2^31 values, not ", in.text());
    require(top.size() == 1 || method_ == PoolingParameter::MAX,
            "only MAX pooling has a second top, the index of each maximum");
    channels_ = in[1];
    place_windows(in[2], in[3]);
    require_field(method_ == PoolingParameter::AVE || window_area() < Index{1} << 32, kernel_field_,
                  "a window of kernel_size ", text(windows_.rows.kernel, windows_.cols.kernel),
                  " has 2^32 places or more; only AVE takes such windows");
    const Shape out = checked_shape({in[0], in[1], windows_.rows.windows, windows_.cols.windows},
                                    "pooling_param.pad");
    for (Blob* blob : top) blob->reshape(out);
    const Index values = out.count(), place_bytes = few_places() ? 1 : sizeof(std::uint32_t);
    const auto float_bytes = static_cast<Index>(sizeof(float));
    if (method_ != PoolingParameter::AVE)
      picked_.reshape({(values * place_bytes + float_bytes - 1) / float_bytes});
  }

  Scratch scratch() const override {
    return {.held = method_ == PoolingParameter::AVE ? 0 : picked_.bytes()};
  }

  void forward(Context& ctx, Bottoms bottom, Tops top) override {
    layout_ = choose_layout(ctx, *bottom[0], top.size());
    const float* x = bottom[0]->data.read(ctx, layout_);
    const Index images = bottom[0]->shape()[0];
    float* y = top[0]->data.write(ctx, layout_);
    float* picks = write_picks(ctx);
    if (kDevice == Device::cuda && knows_blocks())
      pool_on_device(ctx, images, x, y, picks);
    else
      pool_images(ctx, layout_, 0, images, x, y, picks);
    if (top.size() == 1) return;
    float* index = top[1]->data.write(ctx, layout_);
    with_places(picked_.read(ctx), [&](const auto* picked) {
      pool_indices(ctx, windows_in(layout_, images), lanes_in(layout_), picked, index);
    });
  }

  void backward(Context& ctx, Tops top, std::span<const bool> wanted, Bottoms bottom) override {
    if (!wanted[0]) return;
    require(method_ != PoolingParameter::STOCHASTIC || train_,
            "STOCHASTIC pooling has a gradient in phase TRAIN only");
    const float* dy = top[0]->grad.read(ctx, layout_);
    float* dx = bottom[0]->grad.write(ctx, layout_);
    const Index images = bottom[0]->shape()[0];
    const float* picks = read_picks(ctx);
    if constexpr (kDevice == Device::cuda)
      if (knows_blocks())
        return pool_backward_on_device(ctx, device_maps(images), device_pool(), dy,
                                       reinterpret_cast<const std::uint8_t*>(picks), dx);
    send_back_images(ctx, layout_, 0, images, dy, picks, dx);
  }

  bool pools_images(Layout layout) const override {
    const bool any_method = kDevice == Device::cpu && layout == Layout::plain;
    return !reference_ && method_ != PoolingParameter::STOCHASTIC && (any_method || knows_blocks());
  }

  DevicePool device_pool() const override {
    return {windows_.rows, windows_.cols, method_ == PoolingParameter::MAX};
  }

  float* write_picks(Context& ctx) override {
    return method_ == PoolingParameter::AVE ? nullptr : picked_.write(ctx);
  }
  const float* read_picks(Context& ctx) override {
    return method_ == PoolingParameter::AVE ? nullptr : picked_.read(ctx);
  }

  void pool_images(Context& ctx, Layout layout, Index first, Index n, const float* x, float* y,
                   float* picks) const override {
    const PoolWindows some = windows_in(layout, n);
    y += first * values_per_image();
    if (method_ == PoolingParameter::AVE)
      pool_average(ctx, layout, some, x, y);
    else if (method_ == PoolingParameter::STOCHASTIC && !train_)
      pool_expected(ctx, some, x, y);
    else
      with_places(picks, [&](auto* picked) {
        picked += first * values_per_image();
        if (method_ == PoolingParameter::MAX)
          pool_max(ctx, layout, some, x, y, picked);
        else
          pool_draw(ctx, some, {ctx.seed, stream_, ctx.pass, ctx.pass_at}, x, y, picked);
      });
  }

  void send_back_images(Context& ctx, Layout layout, Index first, Index n, const float* dy,
                        const float* picks, float* dx) const override {
    const PoolWindows some = windows_in(layout, n);
    dy += first * values_per_image();
    if (method_ == PoolingParameter::AVE)
      send_shares(ctx, layout, some, dy, dx);
    else
      with_places(picks, [&](const auto* picked) {
        send_to_picked(ctx, layout, some, dy, picked + first * values_per_image(), dx);
      });
  }

 private:
  Layout choose_layout(const Context& ctx, const Blob& bottom, std::size_t tops) const {
    if (!knows_blocks()) return Layout::plain;
    // The second top's indices are no numbers to be rounded.
    return kDevice == Device::cpu || tops > 1 ? run_layout(ctx, bottom) : bottom.data.layout();
  }

  void pool_on_device(Context& ctx, Index images, const float* x, float* y, float* picks) const {
    if constexpr (kDevice == Device::cuda)
      doppio::pool_on_device(ctx, device_maps(images), device_pool(), x, y,
                             reinterpret_cast<std::uint8_t*>(picks));
  }

  DeviceMaps device_maps(Index images) const {
    return {images, channels_, windows_.rows.size, windows_.cols.size, layout_};
  }

  template <class Place>
  void pool_max(Context& ctx, Layout layout, const PoolWindows& some, const float* x, float* y,
                Place* picked) const {
    if constexpr (kBytesOnCpu<Place>) {
      if (layout == Layout::blocked) return pool_max_blocked(ctx, some, x, y, picked);
      if (tiles(some)) return pool_max_tiled(ctx, some, x, y, picked);
    }
    doppio::pool_max(ctx, some, x, y, picked);
  }

  template <class Place>
  void send_to_picked(Context& ctx, Layout layout, const PoolWindows& some, const float* dy,
                      const Place* picked, float* dx) const {
    if constexpr (kBytesOnCpu<Place>) {
      if (layout == Layout::blocked) return send_to_picked_blocked(ctx, some, dy, picked, dx);
      if (tiles(some)) return send_to_picked_tiled(ctx, some, dy, picked, dx);
    }
    gather(ctx, some, dx, SendToPicked{dy, picked});
  }

  static void pool_average(Context& ctx, Layout layout, const PoolWindows& some, const float* x,
                           float* y) {
    if constexpr (kDevice == Device::cpu)
      if (layout == Layout::blocked) return pool_average_blocked(ctx, some, x, y);
    doppio::pool_average(ctx, some, x, y);
  }

  static void send_shares(Context& ctx, Layout layout, const PoolWindows& some, const float* dy,
                          float* dx) {
    if constexpr (kDevice == Device::cpu)
      if (layout == Layout::blocked) return send_shares_blocked(ctx, some, dy, dx);
    gather(ctx, some, dx, SendShares{dy});
  }

  Index values_per_image() const {
    return channels_ * windows_.rows.windows * windows_.cols.windows;
  }

  /// The windows of n images as they lie in `layout`.
  PoolWindows windows_in(Layout layout, Index n) const {
    PoolWindows some = windows_;
    some.planes = channels_ == 0 ? 0 : n * channels_ / lanes_in(layout);
    return some;
  }
  /// Channels that lie side by side.
  Index lanes_in(Layout layout) const {
    return layout == Layout::plain ? 1 : layout == Layout::blocked ? channel_block() : channels_;
  }

  /// True if a byte tells the places of a window apart.
  bool few_places() const { return window_area() <= 256; }
  Index window_area() const { return windows_.rows.kernel * windows_.cols.kernel; }

  bool knows_blocks() const {
    return !reference_ &&
           (method_ == PoolingParameter::AVE || (method_ == PoolingParameter::MAX && few_places()));
  }
  bool tiles(const PoolWindows& some) const { return !reference_ && tiles_map(some); }

  /// run(picked) with the memory of picked_ as the numbers that it holds.
  template <class Run>
  void with_places(float* memory, Run run) const {
    if (few_places())
      run(reinterpret_cast<std::uint8_t*>(memory));
    else
      run(reinterpret_cast<std::uint32_t*>(memory));
  }
  template <class Run>
  void with_places(const float* memory, Run run) const {
    with_places(const_cast<float*>(memory), [&](const auto* picked) { run(picked); });
  }

  void place_windows(Index height, Index width) {
    PoolAxis &rows = windows_.rows, &cols = windows_.cols;
    rows.size = height;
    cols.size = width;
    if (global_) {
      rows.kernel = height;
      cols.kernel = width;
    }
    const bool padded = rows.pad > 0 || cols.pad > 0;
    // Rounding up, one window that is a little too large is cut off at the border.
    const auto fits = [&](const PoolAxis& a) {
      const Index room = a.size + 2 * a.pad - a.kernel;
      return room >= 0 || (!floor_ && room > -a.stride);
    };
    require_field(fits(rows) && fits(cols), kernel_field_, "kernel_size ",
                  text(rows.kernel, cols.kernel), " exceeds input ", height, "x", width,
                  padded ? " padded by " + text(rows.pad, cols.pad) : "");
    for (PoolAxis* a : {&rows, &cols}) {
      const Index room = a->size + 2 * a->pad - a->kernel;
      a->windows = (room + (floor_ ? 0 : a->stride - 1)) / a->stride + 1;
      if (padded && (a->windows - 1) * a->stride >= a->size + a->pad) --a->windows;
      const Index last = (a->windows - 1) * a->stride - a->pad;
      require_field(last < a->size, "pooling_param.stride", "the last window would begin at pixel ",
                    last, " of ", a->size, " and be empty; use round_mode: FLOOR");
    }
  }

  PoolingParameter::PoolMethod method_;
  bool global_, floor_, train_;
  bool reference_;  // compute by the generic kernels only
  std::uint32_t stream_;
  std::string kernel_field_;
  Index channels_ = 0;
  PoolWindows windows_;            // of a number of images yet to be set
  Layout layout_ = Layout::plain;  // of the last forward pass
  Tensor picked_;  // bytes or 32-bit numbers: place in its window of the pixel passed on
};

DOPPIO_REGISTER_LAYER("Pooling", Pooling, .tops = {1, 2}, .backward_reads_bottom = false,
                      .backward_reads_top = false);

}  // namespace
}  // namespace doppio
