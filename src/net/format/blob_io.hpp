#pragma once
#include <iosfwd>

#include "doppio.pb.h"
#include "doppio/tensor.hpp"

namespace doppio {

/// Returns the shape of a stored blob: `shape`, or num, channels, height and width if any of these
/// old fields is present. Throws: Error if a dimension is invalid.
Shape stored_shape(const BlobProto& blob);

/// Returns whether a stored blob fits `shape`. Old shapes may have additional leading ones.
bool fits(const BlobProto& blob, const Shape& shape);

/// Throws: Error unless `stored` equals the number of elements of the tensor.
void require_count(Index stored, const Tensor& tensor);

/// Copies the values (float, double or raw) into `tensor`, which keeps its shape.
/// Throws: Error unless there are exactly as many values as the tensor has elements.
void read_blob(const BlobProto& blob, Tensor& tensor);

/// Writes the shape and data of `data` to `blob`, and the gradient if `grad` is not null.
void write_blob(const Tensor& data, const Tensor* grad, BlobProto& blob);

/// Writes field `number` of a binary message: a BlobProto as write_blob() makes it, streamed
/// without a copy in memory.
void write_blob_field(int number, const Tensor& data, const Tensor* grad, std::ostream& out);

/// Returns the number of bytes that write_blob_field() writes.
std::uint64_t blob_field_bytes(int number, const Tensor& data, const Tensor* grad);

}  // namespace doppio
