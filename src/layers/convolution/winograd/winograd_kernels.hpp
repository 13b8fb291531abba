#pragma once
// The inner loops of the Winograd engine, compiled once per instruction set and called through a
// table. Includes no code: the linker must not use functions of these objects elsewhere.
#include <cstdint>

namespace doppio {

/// Offsets of the rows and columns of a square patch, in floats. Negative: outside the map, where
/// reads give 0 and writes are skipped.
struct WinogradPatch {
  const std::int64_t* row;
  const std::int64_t* column;
};

/// Transforms a patch of one block of channels: value p of the result is written to v[p * plane].
/// Unless `mask` is null, x is taken as 0 where the mask is not positive.
using WinogradSpread = void (*)(const float* x, const float* mask, WinogradPatch patch, float* v,
                                std::int64_t plane);
/// Transforms back: value p is read from v[p * plane]. Adds the block `bias` unless that is null,
/// then sets negative values to 0 if `relu`.
using WinogradCollect = void (*)(const float* v, std::int64_t plane, const float* bias, bool relu,
                                 WinogradPatch patch, float* y);

/// The transforms of F(outputs x outputs, kernel x kernel). All values are blocks of channels.
struct WinogradTransforms {
  int outputs, kernel;
  const float* total;       // the sum of y over i and j is that of total[i] total[j] point[i, j]
  WinogradSpread data;      // of an input patch of outputs + kernel - 1 squared
  WinogradSpread filter;    // of kernel x kernel weights
  WinogradSpread gradient;  // of outputs x outputs gradients of y
  WinogradCollect output;   // to outputs x outputs values of y
  WinogradCollect filter_gradient;  // to kernel x kernel gradients of the weights

  int points() const { return outputs + kernel - 1; }
};

/// c = a b, or c += a b: rows x width = rows x depth times depth x width, where width is one or two
/// blocks of channels and b and c are dense. Element (i, k) of a is at a[i * stride + k], or at
/// a[k * stride + i] if `transposed`.
///
/// Elements of a and b are words: one float, or a pair of bfloat16 for 2 k and 2 k + 1 whose
/// products are both added.
struct WinogradProduct {
  const float* a;
  std::int64_t stride;
  bool transposed;
  const float* b;
  float* c;
  std::int64_t rows, depth, blocks;
  bool accumulate;
};

/// The kernels for one width of vector registers.
struct WinogradKernels {
  int lanes;  // floats in a register and channels in a block
  const WinogradTransforms* transforms;
  int transform_count;
  void (*multiply)(const WinogradProduct& product);
  // Null unless words are pairs of bfloat16. Both round `count` floats of a row, whole registers,
  // and may run in place: to[i] = pair of row[2 i] and row[2 i + 1], and
  // to[i] = pair of row[i] and next[i], or of row[i] and 0 if `next` is null.
  void (*pair_columns)(const float* row, std::int64_t count, float* to);
  void (*pair_rows)(const float* row, const float* next, std::int64_t count, float* to);

  /// Returns the words for a sum of `count` products.
  std::int64_t words(std::int64_t count) const { return pair_rows ? (count + 1) / 2 : count; }
};

extern const WinogradKernels kWinogradAvx2, kWinogradAvx512, kWinogradBf16Avx512;

}  // namespace doppio
