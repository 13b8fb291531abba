#define DOPPIO_LANES 8
#include "layers/engines/image_kernels_body.hpp"

namespace doppio {
const ImageKernels kImageAvx2 = kKernels;
}  // namespace doppio
