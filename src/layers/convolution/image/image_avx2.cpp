#define DOPPIO_LANES 8
#include "layers/convolution/image/image_kernels_body.hpp"

namespace doppio {
const ImageKernels kImageAvx2 = kKernels;
}  // namespace doppio
