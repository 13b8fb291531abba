#pragma once
// Everything that a program needs to run or train nets. Start with net.hpp.
//
//   error.hpp        Error, thrown for every mistake of a user
//   context.hpp      Context: the device, its workspace and random numbers
//   shape.hpp        Shape of a blob
//   tensor.hpp       Tensor, a dense array on host and device, and Blob, a tensor and its gradient
//   net.hpp          Net: reads a prototxt, copies weights, runs forward and backward
//   memory_data.hpp  MemoryData, a layer that a program fills with its own images
//   solver.hpp       Solver: trains a net and notifies observers
//
// extend/ is for authors of layers (docs/add_a_layer.md).
#include "doppio/context.hpp"
#include "doppio/error.hpp"
#include "doppio/memory_data.hpp"
#include "doppio/net.hpp"
#include "doppio/shape.hpp"
#include "doppio/solver.hpp"
#include "doppio/tensor.hpp"
