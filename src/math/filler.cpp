#include "math/filler.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/printable.hpp"
#include "core/threads.hpp"
#include "doppio.pb.h"
#include "doppio/error.hpp"
#include "math/normal.hpp"
#include "math/philox.hpp"
#include "math/tensor_part.hpp"

namespace doppio {

namespace {

using Four = std::array<float, 4>;

/// v[4b .. 4b+3] = four(words of block b): one Philox block gives four values.
template <class F>
void draw(const Random& random, Index n, float* v, F four) {
#pragma omp parallel for schedule(static) if (n > kLittleWork)
  for (Index b = 0; b < (n + 3) / 4; ++b) {
    std::uint32_t words[4];
    random.block(static_cast<std::uint64_t>(b), words);
    const Four values = four(words);
    std::copy_n(values.begin(), std::min<Index>(4, n - 4 * b), v + 4 * b);
  }
}

void draw_uniform(const Random& random, Index n, float low, float high, float* v) {
  const float step = (high - low) / 16777216.0f;
  draw(random, n, v, [=](const std::uint32_t(&words)[4]) {
    Four values;
    for (std::size_t k = 0; k < 4; ++k) values[k] = low + step * static_cast<float>(words[k] >> 8);
    return values;
  });
}

void draw_normal(const Random& random, Index n, float mean, float std, float* v) {
  draw(random, n, v, [=](const std::uint32_t(&words)[4]) { return normals(words, mean, std); });
}

/// Keeps each value with probability `keep`, else sets it to zero.
void thin_out(const Random& random, Index n, float keep, float* v) {
#pragma omp parallel for schedule(static) if (n > kLittleWork)
  for (Index i = 0; i < n; ++i)
    if (random.uniform(i) >= keep) v[i] = 0;
}

/// Returns n of the xavier and msra fillers.
float fan(const FillerParameter& filler, const Shape& shape) {
  const auto count = static_cast<float>(shape.count());
  const float fan_in = count / static_cast<float>(shape[0]);
  const float fan_out = count / static_cast<float>(shape.dim_or_1(1));
  switch (filler.variance_norm()) {
    case FillerParameter::FAN_IN:
      return fan_in;
    case FillerParameter::FAN_OUT:
      return fan_out;
    case FillerParameter::AVERAGE:
      break;
  }
  return (fan_in + fan_out) / 2;
}

void divide_items_by_sum(const Shape& shape, float* v) {
  const Index dim = shape.count_from(1);
  for (Index n = 0; n < shape[0]; ++n) {
    double sum = 0;
    for (Index i = 0; i < dim; ++i) sum += v[n * dim + i];
    if (sum > 0)
      for (Index i = 0; i < dim; ++i) v[n * dim + i] /= static_cast<float>(sum);
  }
}

void fill_bilinear(const Shape& shape, float* v) {
  const Index K = shape[3];
  const Index rounded_up = (K + 1) / 2;
  const auto half = static_cast<float>(rounded_up);
  const float centre = static_cast<float>(K - 1) / (2 * half);
  const auto weight = [=](Index k) { return 1 - std::abs(static_cast<float>(k) / half - centre); };
  for (Index i = 0; i < shape.count(); ++i) v[i] = weight(i % K) * weight(i / K % K);
}

void check(const FillerParameter& filler, const Shape& shape, std::string_view field) {
  static const std::vector<std::string> types{
      "constant", "uniform", "gaussian", "positive_unitball", "xavier", "msra", "bilinear"};
  const std::string& type = filler.type();
  const auto is = [&](const char* name) { return type == name; };
  const auto wants = [&](bool ok, const char* member, const auto&... parts) {
    require_field(ok, str(field, ".", member), parts...);
  };
  wants(std::find(types.begin(), types.end(), type) != types.end(), "type", "unknown filler type '",
        printable(type), "'", did_you_mean(type, types));
  wants(is("gaussian") || filler.sparse() == -1, "sparse", "filler '", type,
        "' cannot be sparse; only gaussian can");
  wants(filler.sparse() >= -1, "sparse", "filler's sparse is ", filler.sparse(),
        "; it must be a number of non-zero values, or -1 for all");
  wants(!is("gaussian") || filler.std() >= 0, "std", "filler's std ", filler.std(), " is negative");
  wants(!is("uniform") || filler.min() <= filler.max(), "min", "filler's min ", filler.min(),
        " is above its max ", filler.max());
  const bool needs_axis =
      is("positive_unitball") || is("xavier") || is("msra") || filler.sparse() >= 0;
  wants(!needs_axis || shape.axes() > 0, "type", "filler '", type, "' cannot fill a scalar");
  wants(!is("bilinear") || (shape.axes() == 4 && shape[2] == shape[3]), "type",
        "filler 'bilinear' needs a blob of 4 axes with height equal to width, not ", shape.text());
}

/// Fills a whole tensor.
void fill_all(const FillerParameter& filler, const Random& random, Tensor& tensor) {
  const Shape& shape = tensor.shape();
  const Index n = tensor.count();
  const std::string& type = filler.type();
  // Unallocated tensors read as zeros, and weights from a file often replace them.
  if (type == "constant" && filler.value() == 0 && !tensor.allocated()) return;
  float* v = tensor.write_host();
  if (type == "constant") {
    std::fill_n(v, n, filler.value());
  } else if (type == "uniform") {
    draw_uniform(random, n, filler.min(), filler.max(), v);
  } else if (type == "gaussian") {
    draw_normal(random, n, filler.mean(), filler.std(), v);
    if (filler.sparse() >= 0) {
      const float keep = static_cast<float>(filler.sparse()) / static_cast<float>(shape[0]);
      thin_out({random.seed, random.stream, 1}, n, keep, v);
    }
  } else if (type == "positive_unitball") {
    draw_uniform(random, n, 0, 1, v);
    divide_items_by_sum(shape, v);
  } else if (type == "xavier") {
    const float limit = std::sqrt(3 / fan(filler, shape));
    draw_uniform(random, n, -limit, limit, v);
  } else if (type == "msra") {
    draw_normal(random, n, 0, std::sqrt(2 / fan(filler, shape)), v);
  } else {
    fill_bilinear(shape, v);
  }
}

}  // namespace

void fill(const Context& ctx, const FillerParameter& filler, const std::string& layer, int index,
          Tensor& tensor, std::string_view field, Index part_axis) {
  const Shape& shape = tensor.shape();
  check(filler, shape, field);
  if (ctx.dry_run || tensor.count() == 0) return;

  // The odd factor separates the streams of tensors from each other and from that of forward().
  const Random random{ctx.seed,
                      stream_of(layer) ^ 0x9E3779B9u * static_cast<std::uint32_t>(index + 1), 0};
  if (ctx.part.count == 1 || filler.type() == "constant") return fill_all(filler, random, tensor);
  Tensor whole;
  whole.reshape(shape.with(part_axis, shape[part_axis] * ctx.part.count));
  fill_all(filler, random, whole);
  copy_part(whole, ctx.part, tensor);
}

}  // namespace doppio
