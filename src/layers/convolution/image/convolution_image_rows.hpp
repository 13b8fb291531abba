#pragma once
#include <algorithm>
#include <vector>

#include "core/cpu.hpp"
#include "core/layout.hpp"
#include "core/threads.hpp"
#include "layers/convolution/engine.hpp"
#include "layers/convolution/image/image_kernels.hpp"
#include "math/full_width.hpp"

namespace doppio {

inline const ImageKernels& image_kernels() {
  return cpu_isa() == Isa::avx512 ? kImageAvx512 : kImageAvx2;
}

/// to[i] = from[i] where gate[i] > 0, else 0. Reads all of `from`: a branch would often be
/// mispredicted.
inline void copy_where_positive(const float* from, const float* gate, Index size, float* to) {
  at_full_width([=] {
    for (Index i = 0; i < size; ++i) {
      const float value = from[i];
      to[i] = gate[i] > 0 ? value : 0;
    }
  });
}

/// One direction of a convolution over NCHW maps, one row of windows at a time: each value of a map
/// is multiplied for all outputs of two blocks in registers. The last block is padded with unused
/// outputs.
class ImageConvolutionRows {
 public:
  explicit ImageConvolutionRows(const ConvolutionGeometry& g, Layout out)
      : batch_(g.batch),
        channels_(g.channels),
        outputs_(g.num_output),
        rows_(g.windows.axis[0]),
        cols_(g.windows.axis[1]),
        height_(rows_.in + 2 * rows_.pad),
        width_(cols_.in + 2 * cols_.pad),
        blocks_((g.num_output + B - 1) / B),
        layout_(out) {
    for (Index c = 0; c < g.channels; ++c)
      for (Index h = 0; h < rows_.kernel; ++h)
        for (Index w = 0; w < cols_.kernel; ++w)
          taps_.push_back((c * height_ + h * rows_.dilation) * width_ + w * cols_.dilation);
    const auto floats = [&](Index rows) {
      return (rows_.span() + (rows - 1) * rows_.stride) * width_ * channels_ +
             rows * cols_.out * 2 * B;
    };
    constexpr Index kCached = 6144;  // floats: most of an L1 cache
    while (rows_at_a_time_ < rows_.out && floats(rows_at_a_time_ + 1) <= kCached) ++rows_at_a_time_;
  }

  Index taps() const { return static_cast<Index>(taps_.size()); }
  Index padded_outputs() const { return blocks_ * B; }
  Index weight_count() const { return padded_outputs() * taps(); }
  Index padded_count() const {
    if (rows_.pad == 0 && cols_.pad == 0) return 0;
    return Shape{batch_, channels_, height_, width_}.count();
  }

  /// Returns the packed index of the weight for output o and tap k: by pair of blocks, then tap,
  /// then output. An odd last block is packed separately.
  Index packed(Index o, Index k) const {
    const Index pair = o / (2 * B);
    return pair * 2 * B * taps() + k * blocks(pair) * B + o % (2 * B);
  }

  /// Returns the maps with their padding, copied to `room` if there is any.
  const float* padded(const float* x, float* room) const {
    if (padded_count() == 0) return x;
    const Index planes = batch_ * channels_;
#pragma omp parallel for schedule(static) if (worth_threads(planes, height_ * width_))
    for (Index plane = 0; plane < planes; ++plane) {
      float* to = room + plane * height_ * width_;
      std::fill_n(to, height_ * width_, 0.0f);
      for (Index h = 0; h < rows_.in; ++h)
        std::copy_n(x + (plane * rows_.in + h) * cols_.in, cols_.in,
                    to + (h + rows_.pad) * width_ + cols_.pad);
    }
    return room;
  }

  /// Computes y from padded x, packed weights and padded_outputs() biases or null.
  void forward(const float* x, const float* weight, const float* bias, bool relu, float* y) const {
    const Index row = elements_for_products(weight_count() * cols_.out);
#pragma omp parallel if (worth_threads(batch_ * rows_.out, row))
    {
      std::vector<float> line(line_size());
#pragma omp for collapse(2) schedule(static)
      for (Index n = 0; n < batch_; ++n)
        for (Index oh = 0; oh < rows_.out; ++oh)
          for (Index pair = 0; 2 * pair < blocks_; ++pair) {
            ImageRows r = rows_from(x, n, oh, 1, pair);
            const bool direct = layout_ == Layout::nchw_blocked;
            if (!direct) r.plane = r.windows * B;
            image_kernels().forward(r, weight + packed(2 * B * pair, 0),
                                    bias ? bias + 2 * B * pair : nullptr, relu,
                                    direct ? y + blocked(n, oh, pair) : line.data());
            if (!direct) spread(line.data(), n, oh, pair, y);
          }
    }
  }

  /// Adds the gradients of packed weights and biases to `sums`: weight_count() and padded_outputs()
  /// floats. Reads padded x, and dy where y is positive (everywhere if y is null), of images first
  /// .. last-1.
  void weights(const float* x, const float* dy, const float* y, Index first, Index last,
               float* sums) const {
    std::vector<float> line(line_size());
    for (Index n = first; n < last; ++n)
      for (Index oh = 0, some; oh < rows_.out; oh += some) {
        some = std::min(rows_at_a_time_, rows_.out - oh);
        for (Index pair = 0; 2 * pair < blocks_; ++pair) {
          ImageRows r = rows_from(x, n, oh, some, pair);
          const float* slope = dy;
          if (layout_ == Layout::nchw_blocked && !y) {
            slope += blocked(n, oh, pair);
          } else {
            r.plane = some * r.windows * B;
            gather(dy, y, n, oh, some, pair, line.data());
            slope = line.data();
          }
          image_kernels().weights(r, slope, sums + packed(2 * B * pair, 0),
                                  sums + weight_count() + 2 * B * pair);
        }
      }
  }

 private:
  Index blocks(Index pair) const { return std::min<Index>(2, blocks_ - 2 * pair); }
  std::size_t line_size() const {
    return static_cast<std::size_t>(2 * rows_at_a_time_ * cols_.out * B);
  }

  ImageRows rows_from(const float* x, Index n, Index oh, Index count, Index pair) const {
    return {.x = x + (n * channels_ * height_ + oh * rows_.stride) * width_,
            .tap = taps_.data(),
            .taps = taps(),
            .step = cols_.stride,
            .down = rows_.stride * width_,
            .rows = count,
            .windows = cols_.out,
            .plane = rows_.out * cols_.out * B,
            .blocks = static_cast<int>(blocks(pair))};
  }

  /// Returns the offset of a row in a blocked top.
  Index blocked(Index n, Index oh, Index pair) const {
    return ((n * blocks_ + 2 * pair) * rows_.out + oh) * cols_.out * B;
  }

  Index plane() const { return rows_.out * cols_.out; }
  /// nchw(): the offset of row oh of a block's first output in an NCHW top. outputs_from(): the
  /// block's outputs.
  Index nchw(Index n, Index oh, Index first) const {
    return (n * outputs_ + first) * plane() + oh * cols_.out;
  }
  Index outputs_from(Index first) const { return std::min(B, outputs_ - first); }

  void spread(const float* line, Index n, Index oh, Index pair, float* y) const {
    for (Index b = 0; b < blocks(pair); ++b, line += cols_.out * B) {
      const Index first = (2 * pair + b) * B;
      unpack_channels(line, outputs_from(first), cols_.out, y + nchw(n, oh, first), plane());
    }
  }

  /// Copies dy to `line`, as 0 where y, unless null, is not positive.
  void gather(const float* dy, const float* y, Index n, Index oh, Index count, Index pair,
              float* line) const {
    const Index pixels = count * cols_.out;
    for (Index b = 0; b < blocks(pair); ++b, line += pixels * B) {
      const Index first = (2 * pair + b) * B;
      if (layout_ == Layout::nchw_blocked) {  // and a ReLU: otherwise nothing is gathered
        const Index from = blocked(n, oh, pair) + b * plane() * B;
        copy_where_positive(dy + from, y + from, pixels * B, line);
        continue;
      }
      const Index from = nchw(n, oh, first), outputs = outputs_from(first);
      pack_channels(dy + from, plane(), outputs, pixels, line);
      if (!y) continue;
      for (Index c = 0; c < outputs; ++c)
        for (Index s = 0; s < pixels; ++s)
          if (!(y[from + c * plane() + s] > 0)) line[s * B + c] = 0;
    }
  }

  const Index B = channel_block();
  Index batch_, channels_, outputs_;
  WindowAxis rows_, cols_;
  Index height_, width_;  // of a padded map
  Index blocks_;          // of outputs
  Layout layout_;         // of the top
  std::vector<Index> taps_;
  Index rows_at_a_time_ = 1;  // rows whose gradients are summed in registers
};

}  // namespace doppio
