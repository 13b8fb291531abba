#include "data/image/mean_file.hpp"

#include "core/printable.hpp"
#include "data/image/image_file.hpp"
#include "doppio.pb.h"
#include "doppio/error.hpp"
#include "io/atomic_file.hpp"
#include "io/file_kind.hpp"
#include "io/input_file.hpp"

namespace doppio {

namespace {

Shape stated_shape(const BlobProto& blob) {
  if (blob.has_num() || blob.has_channels() || blob.has_height() || blob.has_width())
    return {blob.num(), blob.channels(), blob.height(), blob.width()};
  return Shape(std::vector<Index>(blob.shape().dim().begin(), blob.shape().dim().end()));
}

/// Returns `shape` without axes of size 1 before the last three.
std::vector<Index> last_three(const Shape& shape) {
  std::vector<Index> dims = shape.dims();
  while (dims.size() > 3 && dims.front() == 1) dims.erase(dims.begin());
  return dims;
}

}  // namespace

Mean read_mean_file(const std::string& path) {
  try {
    return read_values_file(path, "a mean file");
  } catch (const Error& e) {
    throw Error(e.message() + "; `doppio mean` makes one");
  }
}

Mean read_values_file(const std::string& path, const std::string& what) {
  const std::string bytes = read_file(path);
  BlobProto blob;
  // A message of another type may parse with only unknown fields.
  require(blob.ParseFromString(bytes) && blob.data_size() + blob.double_data_size() > 0,
          printable(path), " is not ", what, kind_hint(bytes));
  Mean mean{stated_shape(blob), {blob.data().begin(), blob.data().end()}};
  if (blob.double_data_size() > 0)
    mean.values.assign(blob.double_data().begin(), blob.double_data().end());
  require(mean.shape.count() == static_cast<Index>(mean.values.size()), path,
          " is damaged: ", mean.shape.text(), " should be ", mean.shape.count(),
          " values and it holds ", mean.values.size());
  return mean;
}

void write_mean_file(const std::string& path, const Shape& shape,
                     const std::vector<double>& values) {
  BlobProto blob;
  blob.set_num(1);
  blob.set_channels(static_cast<int>(shape[0]));
  blob.set_height(static_cast<int>(shape[1]));
  blob.set_width(static_cast<int>(shape[2]));
  for (const double v : values) blob.add_data(static_cast<float>(v));
  write_file_atomically(path, [&](std::ostream& out) { out << blob.SerializeAsString(); });
}

Mean fit_mean(const Mean& mean, const Shape& image, const std::string& path) {
  using Dims = std::vector<Index>;
  const Dims dims = last_three(mean.shape);
  const Index C = image[0], H = image[1], W = image[2];
  if (dims == Dims{C, H, W} || (C == 1 && (dims == Dims{H, W} || dims == Dims{H, W, 1})))
    return {image, mean.values};
  if (dims == Dims{C} || dims == Dims{C, 1, 1} || dims == Dims{1, 1, C})
    return {{C, 1, 1}, mean.values};
  require(dims == Dims{H, W, C}, "mean_file ", path, " is ", mean.shape.text(),
          " and the image before the crop is ", image.text(),
          "; make another mean with `doppio mean`, or give mean_value");
  Mean planar{image, std::vector<float>(mean.values.size())};
  for (Index hw = 0; hw < H * W; ++hw)
    for (Index c = 0; c < C; ++c)
      planar.values[static_cast<std::size_t>(c * H * W + hw)] =
          mean.values[static_cast<std::size_t>(hw * C + c)];
  return planar;
}

}  // namespace doppio
