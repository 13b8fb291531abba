#pragma once
// HOST_DEVICE marks a function that kernels may call; KERNEL marks a kernel's lambda. Both are
// empty under g++. DOPPIO_FOR_CUDA is defined where kernels are compiled for CUDA: by nvcc, or by
// g++ for the emulated GPU of the tests. DOPPIO_UNROLL precedes loops whose arrays must be in GPU
// registers.
#ifdef __CUDACC__
#define HOST_DEVICE __host__ __device__
#define KERNEL __device__
#else
#define HOST_DEVICE
#define KERNEL
#endif

#ifdef __CUDA_ARCH__
#define DOPPIO_UNROLL _Pragma("unroll")
#else
#define DOPPIO_UNROLL
#endif

#if defined(__CUDACC__) || defined(DOPPIO_EMULATED_CUDA)
#define DOPPIO_FOR_CUDA
#define DOPPIO_BUILD on_cuda
#else
#define DOPPIO_BUILD on_cpu
#endif
