#include "core/accelerator.hpp"
#include "cuda/kernels/launch.hpp"
#include "data/image/pixel_batch.hpp"

namespace doppio {

void transform_pixels(Accelerator& device, const PixelBatch& batch) {
  using cuda::Divider;
  cuda::launch(static_cast<cudaStream_t>(device.stream()), batch.images * batch.channels,
               batch.height, batch.width,
               [batch, by = Divider(static_cast<std::uint32_t>(batch.channels))] KERNEL(
                   Index plane, Index h, Index w) {
    const auto p = static_cast<std::uint32_t>(plane), n = by.quotient(p);
    batch.transform(n, p - n * by.divisor(), h, w);
  });
}

}  // namespace doppio
