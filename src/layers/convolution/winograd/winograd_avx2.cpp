#define DOPPIO_LANES 8
#include "layers/convolution/winograd/winograd_kernels_body.hpp"

namespace doppio {
const WinogradKernels kWinogradAvx2 = kKernels;
}
