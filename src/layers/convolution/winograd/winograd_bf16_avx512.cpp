#define DOPPIO_LANES 16
#define DOPPIO_BF16
#include "layers/convolution/winograd/winograd_kernels_body.hpp"

namespace doppio {
const WinogradKernels kWinogradBf16Avx512 = kKernels;
}
