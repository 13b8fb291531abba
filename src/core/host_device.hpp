#pragma once
// HOST_DEVICE marks a function that kernels may call; KERNEL marks a kernel's lambda. Under g++
// both mean nothing.
#ifdef __CUDACC__
#define HOST_DEVICE __host__ __device__
#define KERNEL __device__
#define DOPPIO_BUILD on_cuda
#else
#define HOST_DEVICE
#define KERNEL
#define DOPPIO_BUILD on_cpu
#endif
