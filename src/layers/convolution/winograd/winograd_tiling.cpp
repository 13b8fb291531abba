#include "layers/convolution/winograd/winograd_tiling.hpp"

#include <algorithm>

namespace doppio {

namespace {

constexpr Index kOutside = -1;

/// Returns the distance between images on the canvas, in elements: neither their outputs nor the
/// inputs that these read may overlap.
Index pitch(const WinogradMaps& maps, int axis) {
  return std::max(maps.out[axis], maps.in[axis] + std::max<Index>(maps.pad[axis], 0));
}

/// Appends the offsets of `count` elements of the canvas starting at `first`, for an axis of
/// `images` images of `size` elements each.
void append_offsets(Index first, Index count, Index pitch, Index images, Index size,
                    Index image_stride, Index stride, std::vector<Index>& offsets) {
  for (Index at = first; at < first + count; ++at) {
    const Index image = at / pitch, element = at % pitch;
    const bool inside = at >= 0 && image < images && element < size;
    offsets.push_back(inside ? image * image_stride + element * stride : kOutside);
  }
}

}  // namespace

WinogradTiling::WinogradTiling(const WinogradMaps& maps, Index outputs)
    : outputs_(outputs),
      kernel_(maps.kernel),
      in_size_(maps.in_map() * (maps.in_channels / maps.lanes)),
      out_size_(maps.out_map() * (maps.out_channels / maps.lanes)) {
  constexpr Index kMaxSide = 6;
  for (Index rows = 1; rows <= kMaxSide; ++rows)
    for (Index columns = 1; columns <= kMaxSide && rows * columns <= maps.batch; ++columns) {
      std::vector<Canvases> candidate = arrange(maps.batch, rows, columns);
      measure(maps, candidate);
      Index tiles = 0;
      for (const Canvases& c : candidate) tiles += c.tiles();
      if (count_ > 0 && tiles >= count_) continue;
      count_ = tiles;
      canvases_ = std::move(candidate);
    }
  for (Canvases& canvases : canvases_) place(maps, canvases);
}

/// Whole canvases, then the remaining images: whole rows, and a last row.
std::vector<WinogradTiling::Canvases> WinogradTiling::arrange(Index batch, Index rows,
                                                              Index columns) {
  std::vector<Canvases> all;
  const Index whole = batch / (rows * columns), rest = batch % (rows * columns);
  if (whole > 0) all.push_back({whole, rows, columns});
  if (rest / columns > 0) all.push_back({1, rest / columns, columns});
  if (rest % columns > 0) all.push_back({1, 1, rest % columns});
  Index image = 0;
  for (Canvases& c : all) {
    c.first_image = image;
    image += c.count * c.rows * c.columns;
  }
  return all;
}

Index WinogradTiling::tiles_along(const WinogradMaps& maps, int axis, Index images) const {
  const Index length = (images - 1) * pitch(maps, axis) + maps.out[axis];
  return (length + outputs_ - 1) / outputs_;
}

void WinogradTiling::measure(const WinogradMaps& maps, std::vector<Canvases>& all) const {
  for (Canvases& c : all) {
    c.tiles_down = tiles_along(maps, 0, c.rows);
    c.tiles_across = tiles_along(maps, 1, c.columns);
  }
}

void WinogradTiling::place(const WinogradMaps& maps, Canvases& c) const {
  const auto axis = [&](int a, Index tiles, Index images, Index images_apart,
                        std::vector<Index>& in, std::vector<Index>& out) {
    const Index in_stride = a == 0 ? maps.in[1] * maps.lanes : maps.lanes;
    const Index out_stride = a == 0 ? maps.out[1] * maps.lanes : maps.lanes;
    for (Index tile = 0; tile < tiles; ++tile) {
      const Index first = tile * outputs_;
      append_offsets(first - maps.pad[a], outputs_ + kernel_ - 1, pitch(maps, a), images,
                     maps.in[a], images_apart * in_size_, in_stride, in);
      append_offsets(first, outputs_, pitch(maps, a), images, maps.out[a], images_apart * out_size_,
                     out_stride, out);
    }
  };
  axis(0, c.tiles_down, c.rows, c.columns, c.in_row, c.out_row);
  axis(1, c.tiles_across, c.columns, 1, c.in_column, c.out_column);
}

WinogradTile WinogradTiling::locate(Index tile) const {
  auto c = canvases_.begin();
  for (; tile >= c->tiles(); ++c) tile -= c->tiles();
  const Index canvas = tile / (c->tiles_down * c->tiles_across);
  const Index down = tile / c->tiles_across % c->tiles_down, across = tile % c->tiles_across;
  const Index image = c->first_image + canvas * c->rows * c->columns;
  const Index points = outputs_ + kernel_ - 1;
  return {image * in_size_,
          image * out_size_,
          {c->in_row.data() + down * points, c->in_column.data() + across * points},
          {c->out_row.data() + down * outputs_, c->out_column.data() + across * outputs_}};
}

}  // namespace doppio
