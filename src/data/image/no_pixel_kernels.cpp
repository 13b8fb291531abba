// Replaces src/cuda/kernels/pixel_kernels.cpp in builds without CUDA.
#include "data/image/pixel_batch.hpp"
#include "doppio/error.hpp"

namespace doppio {

void transform_pixels(Accelerator&, const PixelBatch&) {
  throw InternalError("this build has no CUDA, and so no accelerator that transforms pixels");
}

}  // namespace doppio
