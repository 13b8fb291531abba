// Times every engine on the convolutions and inner products of AlexNet, batch 128, and on 3x3 and
// 5x5 convolutions of other nets, batch 16, in float32 and, where the CPU has it, bfloat16. GFLOP/s
// count a direct convolution's operations.
#include <benchmark/benchmark.h>

#include <array>
#include <string>

#include "core/cpu.hpp"
#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "layers/convolution/engine.hpp"

namespace doppio {
namespace {

constexpr Index kBatch = 128, kSmallBatch = 16;

enum class Pass { forward, backward_data, backward_params };
constexpr std::array kPasses = {Pass::forward, Pass::backward_data, Pass::backward_params};

const char* pass_name(Pass pass) {
  return pass == Pass::forward         ? "forward"
         : pass == Pass::backward_data ? "backward_data"
                                       : "backward_params";
}

void fill_with_noise(Tensor& tensor) {
  float* v = tensor.write_host();
  for (Index i = 0; i < tensor.count(); ++i)
    v[i] = static_cast<float>(i * 2654435761 % 1000) / 1000 - 0.5f;
}

/// `multiplies` is the number of multiply-adds of one run.
void report(benchmark::State& state, double multiplies) {
  state.counters["GFLOP/s"] =
      benchmark::Counter(2e-9 * multiplies, benchmark::Counter::kIsIterationInvariantRate);
}

struct Convolution {
  const char* name;
  Index channels, size, num_output, kernel, stride, pad, group;
  Index batch = kBatch;

  ConvolutionGeometry geometry(Precision precision) const {
    ConvolutionGeometry g;
    g.precision = precision;
    g.batch = batch;
    g.channels = channels;
    g.num_output = num_output;
    g.group = group;
    g.four_axes = true;
    g.windows.axes = 2;
    const Index out = (size + 2 * pad - kernel) / stride + 1;
    g.windows.axis[0] = g.windows.axis[1] = {size, kernel, pad, stride, 1, out};
    return g;
  }
};

constexpr Convolution kConvolutions[] = {
    {"conv1", 3, 227, 96, 11, 4, 0, 1},
    {"conv2", 96, 27, 256, 5, 1, 2, 2},
    {"conv3", 256, 13, 384, 3, 1, 1, 1},
    {"conv4", 384, 13, 384, 3, 1, 1, 2},
    {"conv5", 384, 13, 256, 3, 1, 1, 2},
    {"vgg16_conv1_2", 64, 224, 64, 3, 1, 1, 1, kSmallBatch},
    {"vgg16_conv3_2", 256, 56, 256, 3, 1, 1, 1, kSmallBatch},
    {"vgg16_conv5_1", 512, 14, 512, 3, 1, 1, 1, kSmallBatch},
    {"resnet50_res2a", 64, 56, 64, 3, 1, 1, 1, kSmallBatch},
    {"resnet50_res3a", 128, 28, 128, 3, 1, 1, 1, kSmallBatch},
    {"resnet50_res4a", 256, 14, 256, 3, 1, 1, 1, kSmallBatch},
    {"resnet50_res5a", 512, 7, 512, 3, 1, 1, 1, kSmallBatch},
    {"googlenet_conv2", 64, 56, 192, 3, 1, 1, 1, kSmallBatch},
    {"googlenet_3a_5x5", 16, 28, 32, 5, 1, 2, 1, kSmallBatch},
    {"googlenet_5b_3x3", 192, 7, 384, 3, 1, 1, 1, kSmallBatch},
};

void time_convolution(benchmark::State& state, const ConvolutionEngineEntry& entry,
                      const ConvolutionGeometry& g, Pass pass) {
  const std::unique_ptr<ConvolutionEngine> engine = entry.make(g);
  Context ctx;
  Blob x, y, weight, bias;
  const Index in = g.windows.axis[0].in, out = g.windows.axis[0].out;
  x.reshape({g.batch, g.channels, in, in});
  y.reshape({g.batch, g.num_output, out, out});
  weight.reshape(g.weight_shape());
  bias.reshape({g.num_output});
  for (Tensor* t : {&x.data, &y.grad, &weight.data, &bias.data}) fill_with_noise(*t);
  const auto run = [&] {
    if (pass == Pass::forward) engine->forward(ctx, x.data, weight.data, &bias.data, y.data);
    if (pass == Pass::backward_data) engine->backward_data(ctx, y.grad, weight.data, x.grad);
    if (pass == Pass::backward_params)
      engine->backward_params(ctx, x.data, y.grad, &weight.grad, &bias.grad);
  };
  run();  // allocates
  for (auto _ : state) run();
  report(state, static_cast<double>(y.count()) * static_cast<double>(weight.count()) /
                    static_cast<double>(g.num_output));
}

struct InnerProduct {
  const char* name;
  Index inputs, outputs;
};

constexpr InnerProduct kInnerProducts[] = {
    {"fc6", 9216, 4096}, {"fc7", 4096, 4096}, {"fc8", 4096, 1000}};

void time_inner_product(benchmark::State& state, const InnerProduct& p, ComputeType type,
                        Pass pass) {
  LayerParameter param;
  param.set_type("InnerProduct");
  param.set_compute_type(type);
  param.mutable_inner_product_param()->set_num_output(static_cast<std::uint32_t>(p.outputs));
  const auto layer = LayerRegistry::instance().find(param.type(), Device::cpu).make(param);
  Context ctx;
  Blob x, y;
  Blob *bottom[] = {&x}, *top[] = {&y};
  x.reshape({kBatch, p.inputs});
  layer->reshape(ctx, bottom, top);
  for (Tensor* t : {&x.data, &y.grad, &layer->params[0].data}) fill_with_noise(*t);
  for (Blob& b : layer->params) b.needs_grad = pass == Pass::backward_params;
  const bool wanted[] = {pass == Pass::backward_data};
  const auto run = [&] {
    if (pass == Pass::forward)
      layer->forward(ctx, bottom, top);
    else
      layer->backward(ctx, top, wanted, bottom);
  };
  run();
  for (auto _ : state) run();
  report(state, static_cast<double>(kBatch) * static_cast<double>(p.inputs * p.outputs));
}

template <class Run>
void add(const std::string& name, Run run) {
  benchmark::RegisterBenchmark(name.c_str(), run)->UseRealTime()->Unit(benchmark::kMillisecond);
}

void register_all(Precision precision) {
  const bool bf16 = precision == Precision::bfloat16;
  const std::string suffix = bf16 ? "/bf16" : "";
  for (const Pass pass : kPasses) {
    for (const ConvolutionEngineEntry& entry : convolution_engines())
      for (const Convolution& c : kConvolutions) {
        const ConvolutionGeometry g = c.geometry(precision);
        if (!entry.why_not(g).empty()) continue;
        add(str(entry.name, "/", c.name, "/", pass_name(pass), suffix),
            [&entry, g, pass](benchmark::State& s) { time_convolution(s, entry, g, pass); });
      }
    for (const InnerProduct& p : kInnerProducts)
      add(str(p.name, "/", pass_name(pass), suffix), [&p, bf16, pass](benchmark::State& s) {
        time_inner_product(s, p, bf16 ? BFLOAT16 : FLOAT32, pass);
      });
  }
}

}  // namespace
}  // namespace doppio

int main(int argc, char** argv) {
  doppio::register_all(doppio::Precision::float32);
  if (doppio::cpu_has_bf16()) doppio::register_all(doppio::Precision::bfloat16);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
}
