#define DOPPIO_LANES 16
#include "layers/convolution/winograd/winograd_kernels_body.hpp"

namespace doppio {
const WinogradKernels kWinogradAvx512 = kKernels;
}
