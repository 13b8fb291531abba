#pragma once
#include <iosfwd>

#include "doppio.pb.h"
#include "doppio/tensor.hpp"

namespace doppio {

/// Shape of a stored blob: `shape`, or the four old fields if any of them is present. Throws: Error
/// if it cannot be.
Shape stored_shape(const BlobProto& blob);

/// True if a stored blob fits `shape`: equal, or equal once the old four sizes lose leading ones.
bool fits(const BlobProto& blob, const Shape& shape);

/// Throws: Error unless the `stored` values are exactly as many as the tensor's elements.
void require_count(Index stored, const Tensor& tensor);

/// Copies the values (float, double or raw) into `tensor`, which keeps its shape.
/// Throws: Error unless there are exactly as many values as the tensor has elements.
void read_blob(const BlobProto& blob, Tensor& tensor);

/// Shape and data of `tensor`; the gradient too if it is given.
void write_blob(const Tensor& data, const Tensor* grad, BlobProto& blob);

/// Writes field `number` of a binary message: a BlobProto as write_blob() makes it, without a copy
/// in memory.
void write_blob_field(int number, const Tensor& data, const Tensor* grad, std::ostream& out);

/// Bytes that write_blob_field() writes.
std::uint64_t blob_field_bytes(int number, const Tensor& data, const Tensor* grad);

}  // namespace doppio
