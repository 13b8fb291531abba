// Times a net, or counts its multiply-adds.
//
//   benchmark_net count NET.prototxt TRAIN|TEST
//   benchmark_net forward DEPLOY.prototxt BATCH [gpu|cublas] [TYPE]
//   benchmark_net train TRAIN_VAL.prototxt BATCH [gpu|cublas] [TYPE]
//
// `count` prints the multiply-adds of one iteration and the batch size, the others the seconds of N
// passes, or N iterations with update, for every N on standard input. The images are random and lie
// in memory. TYPE is a compute_type; `gpu` is the first GPU, `cublas` the same without cuDNN.
// GLOG_v=1 in the environment logs the algorithms of the convolutions.
#include "doppio/net.hpp"

#include <glog/logging.h>

#include <chrono>
#include <iostream>
#include <string>

#include "core/accelerator.hpp"
#include "doppio.pb.h"
#include "doppio/solver.hpp"
#include "math/filler.hpp"
#include "net/multiply_adds.hpp"
#include "net/passes/passes.hpp"

namespace doppio {
namespace {

int count(const std::string& file, Phase phase) {
  Context ctx;
  ctx.dry_run = true;
  Net net(ctx, file, phase);
  double sum = 0;
  for (const NetLayer& layer : net.layers())
    sum += multiply_adds(layer) + (phase == TRAIN ? backward_multiply_adds(layer) : 0);
  std::cout << std::fixed << sum << ' ' << net.layers()[0].tops[0]->shape()[0] << '\n';
  return 0;
}

/// Seconds of N steps, for every N on standard input.
template <class Step>
void time_steps(const Context& ctx, Step step) {
  const auto wait = [&] {
    if (ctx.accelerator()) ctx.accelerator()->synchronize();
  };
  for (int i = 0; i < 2; ++i) step();
  wait();
  std::cout << "ready\n" << std::flush;
  for (int steps = 0; std::cin >> steps;) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < steps; ++i) step();
    wait();
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
    std::cout << time.count() << '\n' << std::flush;
  }
}

/// Zeros would be faster or slower than real pixels.
void fill_pixels(Context& ctx, Blob& data) {
  FillerParameter pixels;
  pixels.set_type("uniform");
  pixels.set_min(-100);
  pixels.set_max(100);
  fill(ctx, pixels, "pixels", 0, data.data);
}

int forward(Context& ctx, const NetParameter& param, Index batch) {
  NetState state;
  state.set_phase(TEST);
  Net net(ctx, param, state);
  Blob& data = net.blob(net.inputs().at(0));
  data.reshape(data.shape().with(0, batch));
  net.reshape();
  net.save_memory(Passes::forward);
  FillerParameter weights;
  weights.set_type("msra");
  for (Parameter& p : net.parameters())
    if (p.blob->shape().axes() > 1)
      fill(ctx, weights, p.layer, static_cast<int>(p.index), p.blob->data);
  fill_pixels(ctx, data);
  time_steps(ctx, [&] { net.forward(); });
  return 0;
}

/// An Input layer in the place of each that reads images for training, and none for those that do
/// for testing.
NetParameter with_images_in_memory(const NetParameter& param, Index batch) {
  NetParameter net = param;
  net.clear_layer();
  for (const LayerParameter& layer : param.layer()) {
    const bool tests = layer.include_size() > 0 && layer.include(0).phase() == TEST;
    if (layer.bottom_size() > 0 || !layer.has_transform_param()) {
      *net.add_layer() = layer;
    } else if (!tests) {
      LayerParameter& input = *net.add_layer();
      input.set_name(layer.name());
      input.set_type("Input");
      *input.mutable_top() = layer.top();
      const Index size = layer.transform_param().crop_size();
      BlobShape& images = *input.mutable_input_param()->add_shape();
      for (const Index dim : {batch, Index{3}, size, size}) images.add_dim(dim);
      input.mutable_input_param()->add_shape()->add_dim(batch);
    }
  }
  return net;
}

int train(Context& ctx, const NetParameter& param, Index batch) {
  SolverParameter p;
  *p.mutable_train_net_param() = with_images_in_memory(param, batch);
  p.set_base_lr(0.0001f);
  p.set_lr_policy("fixed");
  p.set_momentum(0.9f);
  p.set_weight_decay(0.0005f);
  p.set_random_seed(1);
  Solver solver(ctx, p);
  solver.save_memory();
  const NetLayer& input = solver.net().layers()[0];
  fill_pixels(ctx, *input.tops[0]);
  float* labels = input.tops[1]->data.write_host();
  for (Index i = 0; i < batch; ++i) labels[i] = static_cast<float>(i % 10);
  time_steps(ctx, [&] { solver.step(1); });
  return 0;
}

int run(std::vector<std::string> words) {
  Phase phase = TRAIN;
  if (words.size() == 3 && words[0] == "count" && Phase_Parse(words[2], &phase))
    return count(words[1], phase);
  ComputeType type = FLOAT32;
  if (words.size() > 3 && ComputeType_Parse(words.back(), &type)) words.pop_back();
  const bool cublas = words.size() == 4 && words.back() == "cublas";
  const bool gpu = cublas || (words.size() == 4 && words.back() == "gpu");
  if (gpu) words.pop_back();
  if (words.size() == 3 && (words[0] == "forward" || words[0] == "train")) {
    Context ctx(gpu ? open_accelerator(0) : nullptr);
    NetParameter net = upgrade(read_prototxt(words[1])).net;
    net.set_compute_type(type);
    for (LayerParameter& layer : *net.mutable_layer())
      if (cublas && layer.has_convolution_param())
        layer.mutable_convolution_param()->set_engine(ConvolutionParameter::GEMM);
    return (words[0] == "train" ? train : forward)(ctx, net, std::stoi(words[2]));
  }
  std::cerr << "usage: benchmark_net count NET.prototxt TRAIN|TEST\n"
               "       benchmark_net forward DEPLOY.prototxt BATCH [gpu|cublas] [BFLOAT16|TF32]\n"
               "       benchmark_net train TRAIN_VAL.prototxt BATCH [gpu|cublas] [BFLOAT16|TF32]\n";
  return 2;
}

}  // namespace
}  // namespace doppio

int main(int argc, char** argv) {
  FLAGS_logtostderr = true;
  FLAGS_minloglevel = FLAGS_v > 0 ? google::GLOG_INFO : google::GLOG_WARNING;
  google::InitGoogleLogging(argv[0]);
  try {
    return doppio::run({argv + 1, argv + argc});
  } catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
