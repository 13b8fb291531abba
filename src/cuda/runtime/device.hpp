#pragma once
#include <memory>

#include "core/accelerator.hpp"

// cublasHandle_t and cudnnHandle_t are pointers to these.
struct cublasContext;
struct cudnnContext;

namespace doppio::cuda {

/// Opens GPU number `id`, which must exist.
std::shared_ptr<Accelerator> open_device(int id);

// Access for libraries to a device from open_device().

/// Returns the cuBLAS handle, bound to the device's main stream.
cublasContext* blas(Accelerator& device);
/// Returns the cuDNN handle, bound to the device's main stream. Throws: InternalError if this build
/// has no cuDNN.
cudnnContext* dnn(Accelerator& device);
/// Gives GPU number `id` access to the device's memory if the machine supports it.
void open_memory_to(Accelerator& device, int id);

}  // namespace doppio::cuda
