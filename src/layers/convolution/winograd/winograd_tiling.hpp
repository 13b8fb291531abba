#pragma once
#include <vector>

#include "doppio/shape.hpp"
#include "layers/convolution/winograd/winograd_kernels.hpp"

namespace doppio {

/// The maps that a stride-1 convolution reads and writes: y[o] depends on x[o - pad] .. x[o - pad +
/// kernel - 1] on each of two axes. Tensors are blocked by `lanes` channels.
struct WinogradMaps {
  Index batch;
  Index in_channels, out_channels, group;
  Index in[2], out[2], pad[2];  // pad may be negative: borders of x are not read
  Index kernel;
  Index lanes;

  Index in_map() const { return in[0] * in[1] * lanes; }  // floats of one block of channels
  Index out_map() const { return out[0] * out[1] * lanes; }
};

/// One tile: the offsets of its first image in x and y, and its elements relative to those.
struct WinogradTile {
  Index in_image, out_image;
  WinogradPatch in, out;
};

/// Cuts the maps of a batch into tiles of outputs x outputs elements of y.
///
/// The last tiles of small maps are mostly empty, so a x b images may form a mosaic: one canvas in
/// which neighbours share the padding between them and tiles span several images.
class WinogradTiling {
 public:
  /// Chooses the mosaic with the fewest tiles.
  WinogradTiling(const WinogradMaps& maps, Index outputs);

  Index outputs() const { return outputs_; }
  Index count() const { return count_; }
  /// Images down and across the mosaic.
  Index rows() const { return canvases_.front().rows; }
  Index columns() const { return canvases_.front().columns; }
  /// Returns the patches of tile number `tile`, 0 .. count() - 1.
  WinogradTile locate(Index tile) const;

 private:
  /// Equal canvases of rows x columns images.
  struct Canvases {
    Index count, rows, columns;
    Index first_image = 0, tiles_down = 0, tiles_across = 0;
    std::vector<Index> in_row = {}, in_column = {}, out_row = {}, out_column = {};  // of each tile

    Index tiles() const { return count * tiles_down * tiles_across; }
  };

  static std::vector<Canvases> arrange(Index batch, Index rows, Index columns);
  Index tiles_along(const WinogradMaps& maps, int axis, Index images) const;
  void measure(const WinogradMaps& maps, std::vector<Canvases>& all) const;
  void place(const WinogradMaps& maps, Canvases& canvases) const;

  Index outputs_, kernel_, count_ = 0;
  Index in_size_, out_size_;  // floats of one image
  std::vector<Canvases> canvases_;
};

}  // namespace doppio
