#include "layers/pooling/pooling_geometry.hpp"

#include "doppio.pb.h"
#include "doppio/error.hpp"
#include "layers/support/sizes.hpp"

namespace doppio {

namespace {

/// A size along both axes, read from `field` or from `field`_h and `field`_w.
struct Pair {
  Index h, w;
};

Pair read_pair(const std::string& both_field, const std::string& field, bool has_both, Index both,
               bool has_h, Index h, bool has_w, Index w) {
  require_field(!has_both || !(has_h || has_w), "pooling_param." + both_field, "give either ",
                both_field, " or both ", field, "_h and ", field, "_w");
  require_field(has_h == has_w, "pooling_param." + field + (has_h ? "_h" : "_w"), "give both ",
                field, "_h and ", field, "_w; ", field, has_h ? "_w" : "_h", " is missing");
  require_size(both, "pooling_param." + both_field);
  require_size(h, "pooling_param." + field + "_h");
  require_size(w, "pooling_param." + field + "_w");
  return has_h ? Pair{h, w} : Pair{both, both};
}

std::string text(Index h, Index w) { return h == w ? str(h) : str(h, "x", w); }

const char* kernel_field(const PoolingParameter& p) {
  return p.has_kernel_h() ? "pooling_param.kernel_h" : "pooling_param.kernel_size";
}

void require_kernel(const PoolingParameter& p, const Pair& kernel, const Pair& stride,
                    const Pair& pad) {
  const bool given = p.has_kernel_size() || p.has_kernel_h();
  require_field(stride.h > 0 && stride.w > 0, "pooling_param.stride", "stride must be at least 1");
  if (p.global_pooling()) {
    require_field(!given, kernel_field(p),
                  "global_pooling pools the whole map; remove the kernel size");
    require_field(pad.h == 0 && pad.w == 0 && stride.h == 1 && stride.w == 1,
                  "pooling_param.global_pooling", "global_pooling needs pad 0 and stride 1");
  } else {
    require_field(given, "pooling_param",
                  "kernel_size is missing; global_pooling: true takes the whole map");
    require_field(kernel.h > 0 && kernel.w > 0, kernel_field(p), "kernel_size must be at least 1");
    require_field(pad.h < kernel.h && pad.w < kernel.w, "pooling_param.pad", "pad ",
                  text(pad.h, pad.w), " must be less than kernel_size ", text(kernel.h, kernel.w));
  }
  require_field(p.pool() != PoolingParameter::STOCHASTIC || (pad.h == 0 && pad.w == 0),
                "pooling_param.pad", "pad works with MAX and AVE only, not with STOCHASTIC");
}

PoolingMethod method_of(PoolingParameter::PoolMethod method, bool train) {
  if (method == PoolingParameter::MAX) return PoolingMethod::max;
  if (method == PoolingParameter::AVE) return PoolingMethod::average;
  return train ? PoolingMethod::draw : PoolingMethod::expected;
}

}  // namespace

PoolingGeometry read_pooling(const PoolingParameter& p, bool train) {
  const Pair kernel = read_pair("kernel_size", "kernel", p.has_kernel_size(), p.kernel_size(),
                                p.has_kernel_h(), p.kernel_h(), p.has_kernel_w(), p.kernel_w());
  const Pair stride = read_pair("stride", "stride", p.has_stride(), p.stride(), p.has_stride_h(),
                                p.stride_h(), p.has_stride_w(), p.stride_w());
  const Pair pad = read_pair("pad", "pad", p.has_pad(), p.pad(), p.has_pad_h(), p.pad_h(),
                             p.has_pad_w(), p.pad_w());
  require_kernel(p, kernel, stride, pad);
  PoolingGeometry g;
  g.method = method_of(p.pool(), train);
  g.rows = {.kernel = kernel.h, .stride = stride.h, .pad = pad.h};
  g.cols = {.kernel = kernel.w, .stride = stride.w, .pad = pad.w};
  g.reference = p.engine() == PoolingParameter::GEMM;
  return g;
}

void place_windows(const PoolingParameter& p, Index height, Index width, PoolingGeometry& g) {
  const bool floor = p.round_mode() == PoolingParameter::FLOOR;
  PoolAxis &rows = g.rows, &cols = g.cols;
  rows.size = height;
  cols.size = width;
  if (p.global_pooling()) {
    rows.kernel = height;
    cols.kernel = width;
  }
  const bool padded = rows.pad > 0 || cols.pad > 0;
  // With rounding up, a window that is slightly too large is clipped at the border.
  const auto fits = [&](const PoolAxis& a) {
    const Index room = a.size + 2 * a.pad - a.kernel;
    return room >= 0 || (!floor && room > -a.stride);
  };
  require_field(fits(rows) && fits(cols), kernel_field(p), "kernel_size ",
                text(rows.kernel, cols.kernel), " exceeds input ", height, "x", width,
                padded ? " padded by " + text(rows.pad, cols.pad) : "");
  for (PoolAxis* a : {&rows, &cols}) {
    const Index room = a->size + 2 * a->pad - a->kernel;
    a->windows = (room + (floor ? 0 : a->stride - 1)) / a->stride + 1;
    if (padded && (a->windows - 1) * a->stride >= a->size + a->pad) --a->windows;
    const Index last = (a->windows - 1) * a->stride - a->pad;
    require_field(last < a->size, "pooling_param.stride", "the last window would begin at pixel ",
                  last, " of ", a->size, " and be empty; use round_mode: FLOOR");
  }
  require_field(g.method == PoolingMethod::average || rows.kernel * cols.kernel < Index{1} << 32,
                kernel_field(p), "a window of kernel_size ", text(rows.kernel, cols.kernel),
                " has 2^32 pixels or more; only AVE takes such windows");
}

std::string PoolingGeometry::text() const {
  return str(channels, " x ", rows.size, " x ", cols.size, ", kernel ",
             doppio::text(rows.kernel, cols.kernel), ", stride ",
             doppio::text(rows.stride, cols.stride), ", pad ", doppio::text(rows.pad, cols.pad));
}

}  // namespace doppio
