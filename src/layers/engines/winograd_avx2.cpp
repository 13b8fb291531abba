#define DOPPIO_LANES 8
#include "layers/engines/winograd_kernels_body.hpp"

namespace doppio {
const WinogradKernels kWinogradAvx2 = kKernels;
}
