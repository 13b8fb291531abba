#define DOPPIO_LANES 16
#include "layers/engines/winograd_kernels_body.hpp"

namespace doppio {
const WinogradKernels kWinogradAvx512 = kKernels;
}
