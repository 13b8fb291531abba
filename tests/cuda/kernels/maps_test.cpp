// Convolutions, LRN and pooling hand each other maps in the GPU's layouts.
#include <cmath>

#include "cuda/gpu_test.hpp"
#include "doppio.pb.h"
#include "doppio/net.hpp"
#include "net/passes/passes.hpp"

namespace doppio {
namespace {

constexpr char kNet[] = R"(
  force_backward: true
  layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 5 dim: 11 dim: 13 } } }
  layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
          convolution_param { num_output: 8 kernel_size: 3 weight_filler { type: "xavier" }
                              bias_filler { type: "constant" value: 0.1 } } }
  layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
  layer { name: "norm1" type: "LRN" bottom: "conv1" top: "norm1" lrn_param { alpha: 0.5 } }
  layer { name: "pool1" type: "Pooling" bottom: "norm1" top: "pool1"
          pooling_param { pool: %POOL% kernel_size: 3 stride: 2 } }
  layer { name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2"
          convolution_param { num_output: 6 kernel_size: 3 pad: 1 group: 2 weight_filler { type: "xavier" } } }
  layer { name: "norm2" type: "LRN" bottom: "conv2" top: "norm2" lrn_param { alpha: 0.5 beta: 0.5 } }
  layer { name: "pool2" type: "Pooling" bottom: "conv2" top: "pool2"
          pooling_param { pool: %POOL% kernel_size: 2 stride: 2 pad: 1 } }
  layer { name: "loss" type: "Reduction" bottom: "norm2" top: "loss" loss_weight: 1
          reduction_param { operation: SUMSQ } }
  layer { name: "loss2" type: "Reduction" bottom: "pool2" top: "loss2" loss_weight: 1
          reduction_param { operation: SUMSQ } })";

constexpr char kResidual[] = R"(
  force_backward: true
  layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 3 dim: 4 dim: 9 dim: 7 } } }
  layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
          convolution_param { num_output: 8 kernel_size: 3 bias_term: false weight_filler { type: "xavier" } } }
  layer { name: "bn1" type: "BatchNorm" bottom: "conv1" top: "conv1" }
  layer { name: "scale1" type: "Scale" bottom: "conv1" top: "conv1" scale_param { bias_term: true } }
  layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
  layer { name: "conv2" type: "Convolution" bottom: "conv1" top: "conv2"
          convolution_param { num_output: 8 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
  layer { name: "prelu" type: "PReLU" bottom: "conv2" top: "conv2" }
  layer { name: "sum" type: "Eltwise" bottom: "conv1" bottom: "conv2" top: "sum" }
  layer { name: "both" type: "Concat" bottom: "sum" bottom: "conv2" top: "both" }
  layer { name: "pool" type: "Pooling" bottom: "both" top: "norm2"
          pooling_param { pool: %POOL% global_pooling: true } }
  layer { name: "loss" type: "Reduction" bottom: "norm2" top: "loss" loss_weight: 1
          reduction_param { operation: SUMSQ } })";

/// The last blobs, the gradient of the data and of the parameters, after three passes.
std::vector<std::vector<float>> run(Context& ctx, const std::string& pool, ComputeType type,
                                    bool save_memory, std::string text = kNet) {
  for (std::size_t at; (at = text.find("%POOL%")) != std::string::npos;) text.replace(at, 6, pool);
  NetParameter param = parse_prototxt(text, "net").net;
  param.set_compute_type(type);
  ctx.seed = 7;
  Net net(ctx, param, NetState());
  if (save_memory) net.save_memory(Passes::forward_and_backward, {"data", "norm2"});
  for (int pass = 0; pass < 4; ++pass) {
    Tensor& data = net.blob("data").data;
    float* v = data.write_host();
    for (Index i = 0; i < data.count(); ++i)
      v[i] = static_cast<float>((i * 29 + pass * 7) % 23) / 11 - 1;
    net.clear_grads();
    net.forward_backward();
  }
  std::vector<std::vector<float>> all = {values(net.blob("norm2").data),
                                         values(net.blob("data").grad)};
  for (const Parameter& p : net.parameters()) all.push_back(values(p.blob->grad));
  return all;
}

void expect_close(const std::vector<std::vector<float>>& actual,
                  const std::vector<std::vector<float>>& expected, float tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t r = 0; r < expected.size(); ++r) {
    ASSERT_EQ(actual[r].size(), expected[r].size());
    double difference = 0, size = 0;
    for (std::size_t i = 0; i < expected[r].size(); ++i) {
      difference += std::pow(actual[r][i] - expected[r][i], 2);
      size += std::pow(expected[r][i], 2);
    }
    EXPECT_LE(std::sqrt(difference), tolerance * std::sqrt(size)) << "result " << r;
  }
}

#ifdef DOPPIO_EMULATED_CUDA
constexpr float kFloat = 1e-6f;
#else
/// What cuDNN's algorithms that transform maps (Winograd's, FFT) may lose.
constexpr float kFloat = 1e-4f;
#endif

class GpuMaps : public GpuTest {};

TEST_F(GpuMaps, NetsOfAnyPrecisionAgreeWithTheCpu) {
  for (const char* pool : {"MAX", "AVE"})
    for (const bool save_memory : {false, true}) {
      Context cpu;
      const auto expected = run(cpu, pool, FLOAT32, save_memory);
      for (const auto& [type, tolerance] :
           {std::pair{FLOAT32, kFloat}, {TF32, 5e-3f}, {BFLOAT16, 0.06f}}) {
        SCOPED_TRACE(str(pool, save_memory ? ", fused, " : ", ", ComputeType_Name(type)));
        Context gpu(test_gpu());
        expect_close(run(gpu, pool, type, save_memory), expected, tolerance);
      }
    }
}

/// A sign that rounding changes before a ReLU changes a whole gradient.
TEST_F(GpuMaps, NetsWithBatchNormAndBranchesDoAsWell) {
  for (const char* pool : {"MAX", "AVE"}) {
    Context cpu;
    const auto expected = run(cpu, pool, FLOAT32, true, kResidual);
    for (const auto& [type, tolerance] :
         {std::pair{FLOAT32, kFloat}, {TF32, 0.03f}, {BFLOAT16, 0.06f}}) {
      SCOPED_TRACE(str(pool, ", ", ComputeType_Name(type)));
      Context gpu(test_gpu());
      expect_close(run(gpu, pool, type, true, kResidual), expected, tolerance);
    }
  }
}

/// Results of five passes in TEST, with statistics of their own and weights that change before the
/// last one.
std::vector<std::vector<float>> infer(Context& ctx, ComputeType type, bool& fused) {
  NetParameter param = parse_prototxt(R"(
    layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 3 dim: 4 dim: 9 dim: 7 } } }
    layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
            convolution_param { num_output: 8 kernel_size: 3 bias_term: false weight_filler { type: "xavier" } } }
    layer { name: "bn1" type: "BatchNorm" bottom: "conv1" top: "conv1" }
    layer { name: "scale1" type: "Scale" bottom: "conv1" top: "conv1" scale_param { bias_term: true } }
    layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
    layer { name: "conv2" type: "Convolution" bottom: "conv1" top: "conv2"
            convolution_param { num_output: 8 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
    layer { name: "sum" type: "Eltwise" bottom: "conv1" bottom: "conv2" top: "sum" }
    layer { name: "relu2" type: "ReLU" bottom: "sum" top: "sum" }
    layer { name: "conv3" type: "Convolution" bottom: "sum" top: "conv3"
            convolution_param { num_output: 8 kernel_size: 3 pad: 1 group: 4 weight_filler { type: "xavier" } } }
    layer { name: "sum3" type: "Eltwise" bottom: "sum" bottom: "conv3" top: "sum3" }
    layer { name: "pool" type: "Pooling" bottom: "sum3" top: "pool"
            pooling_param { pool: AVE global_pooling: true } })",
                                      "net")
                           .net;
  param.set_compute_type(type);
  ctx.seed = 7;
  NetState state;
  state.set_phase(TEST);
  Net net(ctx, param, state);
  net.save_memory(Passes::forward);
  const auto set = [&](const char* layer, std::size_t p, float least) {
    Tensor& t = net.layer(layer).layer->params[p].data;
    float* v = t.write_host();
    for (Index i = 0; i < t.count(); ++i) v[i] = least + static_cast<float>(i) / 8;
  };
  set("bn1", 0, -0.3f);
  set("bn1", 1, 0.5f);
  set("bn1", 2, 1);
  set("scale1", 0, 0.4f);
  std::vector<std::vector<float>> all;
  for (int pass = 0; pass < 5; ++pass) {
    if (pass == 4) set("scale1", 1, 0.1f);
    float* v = net.blob("data").data.write_host();
    for (Index i = 0; i < net.blob("data").count(); ++i)
      v[i] = static_cast<float>((i * 29 + pass * 7) % 23) / 11 - 1;
    net.forward();
    all.push_back(values(net.blob("pool").data));
  }
  fused = true;
  for (const char* layer : {"bn1", "scale1", "relu1", "sum", "relu2", "sum3"})
    fused = fused && net.is_fused(net.layer(layer));
  return all;
}

/// Convolutions absorb BatchNorm, Scale, Eltwise and ReLU.
TEST_F(GpuMaps, InferenceIsFusedAsOnTheCpu) {
  Context cpu;
  cpu.fusion = false;
  bool fused = false;
  const auto expected = infer(cpu, FLOAT32, fused);
  EXPECT_FALSE(fused);
  for (const auto& [type, tolerance] :
       {std::pair{FLOAT32, kFloat}, {TF32, 5e-3f}, {BFLOAT16, 0.03f}}) {
    SCOPED_TRACE(ComputeType_Name(type));
    Context gpu(test_gpu());
    expect_close(infer(gpu, type, fused), expected, tolerance);
    EXPECT_TRUE(fused);
  }
}

#ifdef DOPPIO_EMULATED_CUDA  // a real GPU may be faster with other layouts
TEST_F(GpuMaps, ChainsOfLayersDoNotConvert) {
  std::string text = kResidual;
  text.replace(text.find("%POOL%"), 6, "MAX");
  NetParameter param = parse_prototxt(text, "net").net;
  param.set_compute_type(TF32);
  Net net(*ctx, param, NetState());
  net.forward_backward();
  for (const char* blob : {"conv1", "conv2", "sum", "both", "norm2"})
    EXPECT_EQ(net.blob(blob).data.layout(), Layout::nhwc) << blob;
  for (const char* blob : {"conv1", "conv2", "sum", "both", "data"})
    EXPECT_EQ(net.blob(blob).grad.layout(), Layout::nhwc) << blob;
}
#endif

TEST_F(GpuMaps, WhatIsWrittenPastCannotBeRead) {
  std::string text = kNet;
  for (std::size_t at; (at = text.find("%POOL%")) != std::string::npos;) text.replace(at, 6, "MAX");
  Net net(*ctx, parse_prototxt(text, "net").net, NetState());
  net.save_memory(Passes::forward_and_backward);
  net.forward_backward();
  EXPECT_ERROR(net.blob("norm1").data.read_host(), "blob 'norm1' was released");
  EXPECT_NO_THROW(net.blob("conv1").data.read_host());
  EXPECT_NO_THROW(net.blob("pool1").data.read_host());
}

TEST_F(GpuMaps, NoFusionMeansNone) {
  ctx->fusion = false;
  Context fused(test_gpu());
  expect_close(run(*ctx, "MAX", FLOAT32, true), run(fused, "MAX", FLOAT32, true), kFloat);
}

}  // namespace
}  // namespace doppio
