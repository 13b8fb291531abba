#include "layers/convolution/convolution_geometry.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "doppio.pb.h"
#include "doppio/error.hpp"
#include "layers/support/sizes.hpp"

namespace doppio {

namespace {

using Values = google::protobuf::RepeatedField<std::uint32_t>;

/// One of kernel, stride, pad and dilation as the user wrote it.
struct Setting {
  std::string name, name_h, name_w;  // the repeated field, and those for height and width
  const Values& values;
  bool has_h = false, has_w = false;
  std::uint32_t h = 0, w = 0;
  Index otherwise = 0;  // the default
  Index least = 1;
};

std::string field(const std::string& name) { return "convolution_param." + name; }

std::vector<Index> per_axis(const Setting& s, Index axes) {
  if (s.has_h || s.has_w) {
    const std::string& name = s.has_h ? s.name_h : s.name_w;
    require_field(s.values.empty(), field(name), s.name, " and ", name,
                  " are both given; keep one of them");
    require_field(axes == 2, field(name), s.name_h, " and ", s.name_w,
                  " need 2 spatial axes, the bottom has ", axes, "; use ", s.name);
    return {s.h, s.w};
  }
  const Index given = s.values.size();
  require_field(given <= 1 || given == axes, field(s.name), s.name, " is given ", given,
                " times; the bottom has ", axes, axes == 1 ? " spatial axis" : " spatial axes",
                ": give one value for all, or one per axis");
  if (given > 1) return {s.values.begin(), s.values.end()};
  return std::vector<Index>(static_cast<std::size_t>(axes), given == 1 ? s.values[0] : s.otherwise);
}

/// Returns the field that sets axis i.
std::string field_of_axis(const Setting& s, std::size_t i) {
  return field(!(s.has_h || s.has_w) ? s.name : i == 0 ? s.name_h : s.name_w);
}

/// Returns one value per axis. Throws: Error unless each is in s.least .. kMaxSize.
std::vector<Index> read(const Setting& s, Index axes) {
  const std::vector<Index> all = per_axis(s, axes);
  for (std::size_t i = 0; i < all.size(); ++i) require_size(all[i], field_of_axis(s, i), s.least);
  return all;
}

std::string sizes(const Windows& windows, Index (*size)(const WindowAxis&)) {
  std::vector<Index> all;
  for (Index i = 0; i < windows.axes; ++i) all.push_back(size(windows.axis[i]));
  std::string s;
  for (const Index v : all) s += (s.empty() ? "" : " x ") + std::to_string(v);
  return s;
}

}  // namespace

Shape ConvolutionGeometry::weight_shape() const {
  std::vector<Index> dims = {num_output, channels / group};
  for (Index i = 0; i < windows.axes; ++i) dims.push_back(windows.axis[i].kernel);
  return checked_shape(dims, "convolution_param.num_output");
}

bool ConvolutionGeometry::overhangs() const {
  return std::any_of(windows.axis, windows.axis + windows.axes,
                     [](const WindowAxis& a) { return a.in + 2 * a.pad < a.span(); });
}

std::string ConvolutionGeometry::text() const {
  std::string s = str(batch, " x ", channels);
  if (windows.axes == 0) return s + str(" -> ", num_output);
  const auto add = [&](const char* name, Index (*size)(const WindowAxis&)) {
    s += str(", ", name, " ", sizes(windows, size));
  };
  s += " x " + sizes(windows, [](const WindowAxis& a) { return a.in; });
  s += str(" -> ", num_output);
  add("kernel", [](const WindowAxis& a) { return a.kernel; });
  add("stride", [](const WindowAxis& a) { return a.stride; });
  add("pad", [](const WindowAxis& a) { return a.pad; });
  add("dilation", [](const WindowAxis& a) { return a.dilation; });
  const char* rounded = precision == Precision::bfloat16 ? ", bfloat16"
                        : precision == Precision::tf32   ? ", tf32"
                                                         : "";
  return s + str(", group ", group, rounded);
}

Windows read_windows(const ConvolutionParameter& p, const Shape& bottom, Index channel_axis) {
  Windows windows;
  windows.axes = bottom.axes() - channel_axis - 1;
  const bool kernel_given = p.kernel_size_size() > 0 || p.has_kernel_h() || p.has_kernel_w();
  require_field(kernel_given || windows.axes == 0, "convolution_param",
                "kernel_size is missing: give kernel_size, or kernel_h and kernel_w");
  require_field(p.has_kernel_h() == p.has_kernel_w(), "convolution_param",
                "kernel_h and kernel_w must be given together");
  require_field(p.has_stride_h() == p.has_stride_w(), "convolution_param",
                "stride_h and stride_w must be given together");

  const Setting kernel{"kernel_size",    "kernel_h",       "kernel_w",   p.kernel_size(),
                       p.has_kernel_h(), p.has_kernel_w(), p.kernel_h(), p.kernel_w()};
  const Setting stride{"stride",         "stride_h",   "stride_w",   p.stride(), p.has_stride_h(),
                       p.has_stride_w(), p.stride_h(), p.stride_w(), 1};
  const Setting pad{"pad",         "pad_h",   "pad_w",   p.pad(), p.has_pad_h(),
                    p.has_pad_w(), p.pad_h(), p.pad_w(), 0,       0};
  const Setting dilation{"dilation", "", "", p.dilation(), false, false, 0, 0, 1};
  const std::vector<Index> kernels = read(kernel, windows.axes);
  if (windows.axes > 0) checked_shape(kernels, field_of_axis(kernel, 0));
  const std::vector<Index> strides = read(stride, windows.axes);
  const std::vector<Index> pads = read(pad, windows.axes);
  const std::vector<Index> dilations = read(dilation, windows.axes);
  for (Index i = 0; i < windows.axes; ++i) {
    const auto at = static_cast<std::size_t>(i);
    windows.axis[i] = {bottom[channel_axis + 1 + i], kernels[at], pads[at], strides[at],
                       dilations[at]};
  }
  return windows;
}

void slide(Windows& windows) {
  bool fits = true, dilated = false;
  for (Index i = 0; i < windows.axes; ++i) {
    WindowAxis& a = windows.axis[i];
    fits = fits && a.in + 2 * a.pad - a.span() > -a.stride;
    dilated = dilated || a.dilation != 1;
    a.out = (a.in + 2 * a.pad - a.span()) / a.stride + 1;
  }
  std::vector<Index> outs;
  for (Index i = 0; i < windows.axes; ++i) outs.push_back(windows.axis[i].out);
  const auto kernel = [](const WindowAxis& a) { return a.kernel; };
  const auto span = [](const WindowAxis& a) { return a.span(); };
  const auto padded = [](const WindowAxis& a) { return a.in + 2 * a.pad; };
  require_field(fits, "convolution_param.kernel_size", "kernel ", sizes(windows, kernel),
                dilated ? ", spread by its dilation to " + sizes(windows, span) + "," : "",
                " exceeds the padded input ", sizes(windows, padded));
  checked_shape(outs, "convolution_param.pad");
}

namespace {

/// Reads all but the windows; `channels` are those of the bottom.
ConvolutionGeometry read_channels(const ConvolutionParameter& p, const Shape& bottom) {
  ConvolutionGeometry g;
  const Index axis = bottom.canonical(p.axis());
  g.batch = bottom.count_before(axis);
  g.channels = bottom[axis];
  g.num_output = p.num_output();
  g.group = p.group();
  g.bias = p.bias_term();
  g.four_axes = bottom.axes() == 4 && axis == 1;
  g.force_nd_im2col = p.force_nd_im2col();
  require_field(
      g.num_output > 0, "convolution_param.num_output",
      p.has_num_output() ? "num_output must be at least 1, it is 0" : "num_output is missing");
  require_field(g.group > 0, "convolution_param.group", "group must be at least 1, it is 0");
  require_field(g.channels % g.group == 0 && g.channels > 0, "convolution_param.group", "the ",
                g.channels, " channels of the bottom cannot be split into ", g.group, " groups");
  require_field(g.num_output % g.group == 0, "convolution_param.group", "num_output ", g.num_output,
                " is not a multiple of group ", g.group);
  return g;
}

}  // namespace

ConvolutionGeometry read_convolution(const ConvolutionParameter& p, const Shape& bottom) {
  ConvolutionGeometry g = read_channels(p, bottom);
  g.windows = read_windows(p, bottom, bottom.canonical(p.axis()));
  slide(g.windows);
  return g;
}

ConvolutionGeometry read_deconvolution(const ConvolutionParameter& p, const Shape& bottom) {
  ConvolutionGeometry g = read_channels(p, bottom);
  std::swap(g.channels, g.num_output);
  g.bias = false;
  g.windows = read_windows(p, bottom, bottom.canonical(p.axis()));
  std::vector<Index> ins;
  for (Index i = 0; i < g.windows.axes; ++i) {
    WindowAxis& a = g.windows.axis[i];
    a.out = a.in;
    a.in = a.stride * (a.out - 1) + a.span() - 2 * a.pad;
    require_field(a.out > 0 && a.in > 0, "convolution_param.pad", "pad ", a.pad,
                  " leaves nothing of an output of ", a.in + 2 * a.pad);
    ins.push_back(a.in);
  }
  checked_shape(ins, "convolution_param.stride");
  return g;
}

}  // namespace doppio
