// The kernels for 16 lanes, compiled for AVX2: their logic can be tested where AVX-512 is missing.
#define DOPPIO_LANES 16
#include "layers/convolution/winograd/winograd_kernels_body.hpp"

namespace doppio {
extern const WinogradKernels kWinogradWide;
const WinogradKernels kWinogradWide = kKernels;
}  // namespace doppio
