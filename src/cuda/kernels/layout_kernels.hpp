#pragma once
#include <cuda_runtime_api.h>

#include <cstdint>

#include "core/layout.hpp"
#include "core/pixel_batch.hpp"
#include "doppio/tensor.hpp"

namespace doppio::cuda {

/// Accelerator::from_plain() and to_plain(), on a stream.
void from_plain(cudaStream_t stream, const Blocks& sizes, const float* plain, Layout layout,
                void* to);
void to_plain(cudaStream_t stream, const Blocks& sizes, Layout layout, const void* from,
              float* plain);

/// Accelerator::round(), widen() and transform(), likewise.
void round(cudaStream_t stream, Index count, const float* from, void* to);
void widen(cudaStream_t stream, Index count, const void* from, float* to);
void transform(cudaStream_t stream, const PixelBatch& batch);
/// *to = value, in the stream's order.
void store(cudaStream_t stream, std::uint64_t value, std::uint64_t* to);

}  // namespace doppio::cuda
