#define DOPPIO_LANES 16
#include "layers/convolution/image/image_kernels_body.hpp"

namespace doppio {
const ImageKernels kImageAvx512 = kKernels;
}  // namespace doppio
