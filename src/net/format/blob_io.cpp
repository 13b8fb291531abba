#include "net/format/blob_io.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <ostream>

#include "doppio/error.hpp"
#include "net/format/wire.hpp"

namespace doppio {

namespace {

bool has_old_shape(const BlobProto& b) {
  return b.has_num() || b.has_channels() || b.has_height() || b.has_width();
}

float half_to_float(std::uint16_t h) {
  const int exponent = h >> 10 & 31;
  const auto mantissa = static_cast<float>(h & 1023);
  float value =
      exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024.0f + mantissa, exponent - 25);
  if (exponent == 31) value = mantissa == 0.0f ? HUGE_VALF : NAN;
  return h & 0x8000 ? -value : value;
}

template <class T>
T element(const std::string& bytes, std::size_t i) {
  T value;
  std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
  return value;
}

/// Reads values in NVCaffe's raw format. Throws: Error if the bytes do not hold `count` values of
/// the element type.
void read_raw(const BlobProto& blob, Index count, float* out) {
  const std::string& bytes = blob.raw_data();
  const auto type = blob.raw_data_type();
  const std::size_t size = type == BlobProto::DOUBLE ? 8 : type == BlobProto::FLOAT16 ? 2 : 4;
  require(type <= BlobProto::FLOAT16, "weights of element type ", BlobProto::Type_Name(type),
          " cannot be read");
  require(bytes.size() == size * static_cast<std::size_t>(count), "raw weights hold ", bytes.size(),
          " bytes where ", size * static_cast<std::size_t>(count), " are needed");
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i)
    out[i] = size == 8   ? static_cast<float>(element<double>(bytes, i))
             : size == 2 ? half_to_float(element<std::uint16_t>(bytes, i))
                         : element<float>(bytes, i);
}

}  // namespace

Shape stored_shape(const BlobProto& b) {
  if (has_old_shape(b)) return {b.num(), b.channels(), b.height(), b.width()};
  return Shape(std::vector<Index>(b.shape().dim().begin(), b.shape().dim().end()));
}

bool fits(const BlobProto& blob, const Shape& shape) {
  const Shape stored = stored_shape(blob);
  if (stored == shape) return true;
  if (!has_old_shape(blob) || shape.axes() > 4) return false;
  const Index pad = 4 - shape.axes();
  for (Index i = 0; i < 4; ++i)
    if (stored[i] != (i < pad ? 1 : shape[i - pad])) return false;
  return true;
}

void require_count(Index stored, const Tensor& tensor) {
  require(stored == tensor.count(), "holds ", stored, " values where ", tensor.count(),
          " are needed (", tensor.shape().text(), ")");
}

void read_blob(const BlobProto& blob, Tensor& tensor) {
  if (blob.has_raw_data()) return read_raw(blob, tensor.count(), tensor.write_host());
  const bool doubles = blob.double_data_size() > 0;
  const Index stored = doubles ? blob.double_data_size() : blob.data_size();
  require_count(stored, tensor);
  if (doubles)
    std::transform(blob.double_data().begin(), blob.double_data().end(), tensor.write_host(),
                   [](double v) { return static_cast<float>(v); });
  else
    std::copy(blob.data().begin(), blob.data().end(), tensor.write_host());
}

void write_blob(const Tensor& data, const Tensor* grad, BlobProto& blob) {
  blob.Clear();
  blob.mutable_shape();  // present even for a scalar
  for (const Index d : data.shape().dims()) blob.mutable_shape()->add_dim(d);
  const float* values = data.read_host();
  blob.mutable_data()->Add(values, values + data.count());
  if (!grad) return;
  values = grad->read_host();
  blob.mutable_diff()->Add(values, values + grad->count());
}

namespace {

std::string shape_field(const Tensor& tensor) {
  BlobProto shape;
  shape.mutable_shape();  // present even for a scalar
  for (const Index d : tensor.shape().dims()) shape.mutable_shape()->add_dim(d);
  return shape.SerializeAsString();
}

/// Bytes of the BlobProto without its tag and length.
std::uint64_t blob_bytes(const Tensor& data, const Tensor* grad) {
  const auto values = static_cast<std::uint64_t>(data.bytes());
  const std::uint64_t field = wire::head(BlobProto::kDataFieldNumber, values).size() + values;
  return shape_field(data).size() + field * (grad ? 2 : 1);
}

}  // namespace

std::uint64_t blob_field_bytes(int number, const Tensor& data, const Tensor* grad) {
  const std::uint64_t bytes = blob_bytes(data, grad);
  return wire::head(number, bytes).size() + bytes;
}

void write_blob_field(int number, const Tensor& data, const Tensor* grad, std::ostream& out) {
  const auto values = [&](int field, const Tensor& tensor) {
    out << wire::head(field, static_cast<std::uint64_t>(tensor.bytes()));
    out.write(reinterpret_cast<const char*>(tensor.read_host()), tensor.bytes());
  };
  out << wire::head(number, blob_bytes(data, grad)) << shape_field(data);
  values(BlobProto::kDataFieldNumber, data);
  if (grad) values(BlobProto::kDiffFieldNumber, *grad);
}

}  // namespace doppio
