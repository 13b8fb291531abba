#pragma once
#include <memory>

#include "core/accelerator.hpp"

// cublasHandle_t and cudnnHandle_t are pointers to these.
struct cublasContext;
struct cudnnContext;

namespace doppio::cuda {

/// Opens GPU number `id`, which must be there.
std::shared_ptr<Accelerator> open_device(int id);

// What libraries need of a device that open_device() has opened.

/// The handle of cuBLAS, bound to the device's main stream.
cublasContext* blas(Accelerator& device);
/// The handle of cuDNN, bound to the device's main stream. Throws: InternalError if this build has
/// no cuDNN.
cudnnContext* dnn(Accelerator& device);
/// Lets GPU number `id` reach the device's memory if the machine can do that.
void open_memory_to(Accelerator& device, int id);

}  // namespace doppio::cuda
