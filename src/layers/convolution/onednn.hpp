#pragma once
// The parts of oneDNN that the engines use, for its versions 2 and 3. Host code only.
#include <dnnl.hpp>

#include "core/cpu.hpp"
#include "doppio/error.hpp"
#include "doppio/tensor.hpp"

namespace doppio::onednn {

using Dims = dnnl::memory::dims;
using Desc = dnnl::memory::desc;

/// A dense row-major float array, the default layout of Doppio's tensors.
inline Desc row_major(const Dims& dims) {
  Dims strides(dims.size(), 1);
  for (std::size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * dims[i];
  return Desc(dims, dnnl::memory::data_type::f32, strides);
}

using Type = dnnl::memory::data_type;

/// An array in whatever layout the primitive prefers.
inline Desc any_layout(const Dims& dims, Type type = Type::f32) {
  return Desc(dims, type, dnnl::memory::format_tag::any);
}

/// An N x C x H x W array in Layout::nchw_blocked.
inline Desc blocked(const Dims& dims, Type type = Type::f32) {
  using Tag = dnnl::memory::format_tag;
  return Desc(dims, type, channel_block() == 16 ? Tag::aBcd16b : Tag::aBcd8b);
}

/// Returns oneDNN's CPU engine, limited to the instructions that Doppio may use.
inline const dnnl::engine& cpu_engine() {
  static const dnnl::engine engine = [] {
    if (cpu_isa() == Isa::avx2) dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx2);
    if (cpu_isa() == Isa::baseline) dnnl::set_max_cpu_isa(dnnl::cpu_isa::sse41);
    return dnnl::engine(dnnl::engine::kind::cpu, 0);
  }();
  return engine;
}

/// Runs `action` and turns oneDNN's exceptions into ours.
template <class F>
auto check(F action) {
  try {
    return action();
  } catch (const dnnl::error& e) {
    throw InternalError(str("oneDNN: ", e.what(), " (status ", int{e.status}, ")"));
  }
}

/// oneDNN's description of a convolution. `bias` is an empty Desc if there is none; a dilation of 0
/// means none.
struct Convolution {
  Desc src, weights, bias, dst;
  Dims strides, dilates, pads;
};

using Forward = dnnl::convolution_forward;
using BackwardData = dnnl::convolution_backward_data;
using BackwardWeights = dnnl::convolution_backward_weights;

constexpr auto kDirect = dnnl::algorithm::convolution_direct;

/// Post-ops of a forward convolution: adds an array described by `addend` (empty: none), which is
/// argument kAddend, then applies a ReLU.
struct After {
  bool relu = false;
  Desc addend = {};
};
constexpr int kAddend = DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1;

inline void append_relu(dnnl::post_ops& operations);

inline dnnl::primitive_attr attributes_of(const After& after) {
  dnnl::post_ops operations;
  if (after.addend != Desc()) operations.append_binary(dnnl::algorithm::binary_add, after.addend);
  if (after.relu) append_relu(operations);
  dnnl::primitive_attr attributes;
  attributes.set_post_ops(operations);
  return attributes;
}

#if DNNL_VERSION_MAJOR >= 3

inline void append_relu(dnnl::post_ops& operations) {
  operations.append_eltwise(dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
}

inline Forward::primitive_desc forward(const dnnl::engine& engine, const Convolution& c,
                                       const After& after) {
  return {engine,    dnnl::prop_kind::forward_training,
          kDirect,   c.src,
          c.weights, c.bias,
          c.dst,     c.strides,
          c.dilates, c.pads,
          c.pads,    attributes_of(after)};
}
inline BackwardData::primitive_desc backward_data(const dnnl::engine& engine, const Convolution& c,
                                                  const Forward::primitive_desc& hint) {
  return {engine, kDirect, c.src, c.weights, c.dst, c.strides, c.dilates, c.pads, c.pads, hint};
}
inline BackwardWeights::primitive_desc backward_weights(const dnnl::engine& engine,
                                                        const Convolution& c,
                                                        const Forward::primitive_desc& hint) {
  return {engine,    kDirect,   c.src,  c.weights, c.bias, c.dst,
          c.strides, c.dilates, c.pads, c.pads,    hint};
}

#else

inline void append_relu(dnnl::post_ops& operations) {
  operations.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
}

inline Forward::primitive_desc forward(const dnnl::engine& engine, const Convolution& c,
                                       const After& after) {
  return {{dnnl::prop_kind::forward_training, kDirect, c.src, c.weights, c.bias, c.dst, c.strides,
           c.dilates, c.pads, c.pads},
          attributes_of(after),
          engine};
}
inline BackwardData::primitive_desc backward_data(const dnnl::engine& engine, const Convolution& c,
                                                  const Forward::primitive_desc& hint) {
  return {{kDirect, c.src, c.weights, c.dst, c.strides, c.dilates, c.pads, c.pads}, engine, hint};
}
inline BackwardWeights::primitive_desc backward_weights(const dnnl::engine& engine,
                                                        const Convolution& c,
                                                        const Forward::primitive_desc& hint) {
  return {{kDirect, c.src, c.weights, c.bias, c.dst, c.strides, c.dilates, c.pads, c.pads},
          engine,
          hint};
}

#endif

/// An operand of a primitive: the caller's array (outside) and, if the primitive needs another
/// layout, a copy in scratch memory (inside).
class Operand {
 public:
  Operand() = default;
  /// Reserves scratch memory, if needed, at offset `scratch` (in floats) and advances it. With
  /// `added`, the result is added to the caller's array.
  Operand(const dnnl::engine& engine, const Desc& outside, const Desc& inside, Index& scratch,
          bool added = false)
      : engine_(engine), outside_(outside), inside_(inside), offset_(scratch) {
    copied_ = added || outside_ != inside_;
    if (!copied_) return;
    constexpr Index kFloatsPerLine = 16;
    const Index floats = static_cast<Index>(inside_.get_size() / sizeof(float));
    scratch += (floats + kFloatsPerLine - 1) / kFloatsPerLine * kFloatsPerLine;
    dnnl::primitive_attr attributes;
    if (added) {
      dnnl::post_ops sum;
      sum.append_sum(1.0f);
      attributes.set_post_ops(sum);
    }
    in_ = dnnl::reorder({engine, outside_, engine, inside_});
    out_ = dnnl::reorder({engine, inside_, engine, outside_, attributes});
  }

  /// Returns the caller's array in the primitive's layout.
  dnnl::memory load(const dnnl::stream& stream, const float* array, float* scratch) const {
    dnnl::memory outside(outside_, engine_, const_cast<float*>(array));
    if (!copied_) return outside;
    dnnl::memory inside(inside_, engine_, scratch + offset_);
    in_.execute(stream, outside, inside);
    return inside;
  }

  /// Returns the floats of a copy in the primitive's layout, 0 if it reads the caller's array.
  Index copy_size() const {
    return copied_ ? static_cast<Index>((inside_.get_size() + sizeof(float) - 1) / sizeof(float))
                   : 0;
  }
  /// copy() writes such a copy; loaded() wraps an existing one.
  void copy(const dnnl::stream& stream, const float* array, float* to) const {
    dnnl::memory outside(outside_, engine_, const_cast<float*>(array)), in(inside_, engine_, to);
    in_.execute(stream, outside, in);
  }
  dnnl::memory loaded(const float* copy) const {
    return dnnl::memory(inside_, engine_, const_cast<float*>(copy));
  }

  /// Returns the memory for the result, which store() copies to the caller's array.
  dnnl::memory result(float* array, float* scratch) const {
    return dnnl::memory(inside_, engine_, copied_ ? scratch + offset_ : array);
  }
  void store(const dnnl::stream& stream, dnnl::memory result, float* array) const {
    if (!copied_) return;
    dnnl::memory outside(outside_, engine_, array);
    out_.execute(stream, result, outside);
  }

 private:
  dnnl::engine engine_;
  Desc outside_, inside_;
  Index offset_ = 0;
  bool copied_ = false;
  dnnl::reorder in_, out_;
};

}  // namespace doppio::onednn
