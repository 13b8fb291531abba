#pragma once
#include <cstdint>
#include <string>

#include "core/buffer.hpp"
#include "core/host_device.hpp"
#include "doppio/tensor.hpp"

namespace doppio {

class PoolingParameter;

/// The windows along the rows or columns of a map; pixels outside the map are ignored.
template <class Int>
struct PoolAxisOf {
  Int size = 0, windows = 0;
  Int kernel = 0, stride = 1, pad = 0;

  /// Window o begins at pixel start(o), and contains the pixels begin(o) .. end(o)-1 of the map.
  HOST_DEVICE Int start(Int o) const { return o * stride - pad; }
  HOST_DEVICE Int begin(Int o) const { return clip(start(o)); }
  HOST_DEVICE Int end(Int o) const { return clip(start(o) + kernel); }
  /// Length of window o within the padded map.
  HOST_DEVICE Int padded_length(Int o) const {
    const Int rest = size + 2 * pad - o * stride;
    return rest < kernel ? rest : kernel;
  }
  /// Pixel i is in the windows first_window(i) .. last_window(i).
  HOST_DEVICE Int first_window(Int i) const {
    return i + pad < kernel ? 0 : (i + pad - kernel) / stride + 1;
  }
  HOST_DEVICE Int last_window(Int i) const {
    const Int o = (i + pad) / stride;
    return o < windows ? o : windows - 1;
  }
  HOST_DEVICE Int clip(Int i) const { return i < 0 ? 0 : i > size ? size : i; }

  friend bool operator==(const PoolAxisOf&, const PoolAxisOf&) = default;
};
using PoolAxis = PoolAxisOf<Index>;

struct PoolPixel {
  Index h, w;
};

/// All windows of all N * C maps ("planes"); x has H x W pixels per plane, y one value per window.
struct PoolWindows {
  Index planes = 0;
  PoolAxis rows, cols;

  HOST_DEVICE const float* map(const float* x, Index p) const {
    return x + p * rows.size * cols.size;
  }
  HOST_DEVICE Index at(Index p, Index oh, Index ow) const {
    return (p * rows.windows + oh) * cols.windows + ow;
  }
  /// Index of a pixel among the kernel_h x kernel_w of window (oh, ow); pixel() is its inverse.
  HOST_DEVICE Index offset(Index oh, Index ow, Index h, Index w) const {
    return (h - rows.start(oh)) * cols.kernel + w - cols.start(ow);
  }
  /// Index of the window's first pixel within the map.
  HOST_DEVICE Index first_offset(Index oh, Index ow) const {
    return offset(oh, ow, rows.begin(oh), cols.begin(ow));
  }
  HOST_DEVICE PoolPixel pixel(Index oh, Index ow, std::uint32_t offset) const {
    const auto width = static_cast<std::uint32_t>(cols.kernel);  // 32-bit division is faster
    return {rows.start(oh) + offset / width, cols.start(ow) + offset % width};
  }
  /// Divisor of an average: the window's area within the padded map.
  HOST_DEVICE float area(Index oh, Index ow) const {
    return static_cast<float>(rows.padded_length(oh) * cols.padded_length(ow));
  }
};

enum class PoolingMethod {
  max,      ///< the largest value
  average,  ///< the sum divided by the window's area within the padded map
  draw,     ///< a value drawn with probability proportional to it
  expected  ///< sum(x^2) / sum(x), the expected value of `draw`
};

/// Pooling of any number of images with maps of `channels` x H x W values.
struct PoolingGeometry {
  PoolingMethod method = PoolingMethod::max;
  Index channels = 0;
  PoolAxis rows, cols;
  Layout layout = Layout::nchw;    ///< in which the maps are current
  Element element = Element::f32;  ///< of the maps' values
  std::uint32_t stream = 0;        ///< of the random numbers for `draw`
  bool reference = false;          ///< requires the generic engine

  Index map_values() const { return channels * rows.size * cols.size; }
  Index pooled_values() const { return channels * rows.windows * cols.windows; }
  /// Whether backward needs the argmax: for each window, the index of the selected pixel.
  bool has_argmax() const { return method == PoolingMethod::max || method == PoolingMethod::draw; }
  /// Bytes per argmax: one if that can index all pixels of a window, else four.
  Index argmax_size() const { return rows.kernel * cols.kernel <= 256 ? 1 : 4; }
  Index argmax_bytes(Index images) const {
    return has_argmax() ? images * pooled_values() * argmax_size() : 0;
  }
  /// Channels that are contiguous in layout `in`.
  Index lanes(Layout in) const {
    return in == Layout::nchw ? 1 : in == Layout::nchw_blocked ? channel_block() : channels;
  }
  /// All windows of `images` images, in groups of lanes(in) channels.
  PoolWindows windows(Index images, Layout in = Layout::nchw) const {
    return {
        .planes = channels == 0 ? 0 : images * channels / lanes(in), .rows = rows, .cols = cols};
  }
  std::string text() const;
  friend bool operator==(const PoolingGeometry&, const PoolingGeometry&) = default;
};

/// Reads everything that does not depend on the maps. Throws: Error that names the field if sizes
/// are missing or contradict each other.
PoolingGeometry read_pooling(const PoolingParameter& p, bool train);

/// Sets the windows for maps of height x width pixels. Throws: Error that names the field if they
/// do not fit.
void place_windows(const PoolingParameter& p, Index height, Index width, PoolingGeometry& geometry);

/// The work of a Pooling layer, for a preceding layer that fuses it.
struct PoolingWork {
  PoolingGeometry geometry;
  Buffer<std::uint8_t> argmax;  ///< of argmax_bytes()

  /// Null if the method has none. Bytes or 32-bit integers, see argmax_size().
  void* write_argmax(Context& ctx) { return geometry.has_argmax() ? argmax.write(ctx) : nullptr; }
  const void* read_argmax(Context& ctx) const {
    return geometry.has_argmax() ? argmax.read(ctx) : nullptr;
  }
};

}  // namespace doppio
