// Times forward passes of a deploy net, or counts the multiply-adds of any net.
//   benchmark_net count NET.prototxt TRAIN|TEST   prints those of one iteration and the batch size
//   benchmark_net forward DEPLOY.prototxt BATCH   for every N on standard input: seconds of N
//   passes
#include "doppio/net.hpp"

#include <glog/logging.h>

#include <chrono>
#include <iostream>
#include <string>

#include "doppio.pb.h"
#include "math/filler.hpp"
#include "net/multiply_adds.hpp"

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

int forward(const std::string& file, Index batch) {
  Context ctx;
  Net net(ctx, file, TEST);
  Blob& data = net.blob(net.inputs().at(0));
  data.reshape(data.shape().with(0, batch));
  net.reshape();
  // Weights and pixels must be like real ones: zeros would be faster or slower.
  FillerParameter weights, pixels;
  weights.set_type("msra");
  pixels.set_type("uniform");
  pixels.set_min(-100);
  pixels.set_max(100);
  for (Parameter& p : net.parameters())
    if (p.blob->shape().axes() > 1)
      fill(ctx, weights, p.layer, static_cast<int>(p.index), p.blob->data);
  fill(ctx, pixels, "pixels", 0, data.data);
  for (int i = 0; i < 2; ++i) net.forward();
  std::cout << "ready" << std::endl;
  for (int passes = 0; std::cin >> passes;) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < passes; ++i) net.forward();
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
    std::cout << time.count() << std::endl;
  }
  return 0;
}

int run(const std::vector<std::string>& words) {
  Phase phase = TRAIN;
  if (words.size() == 3 && words[0] == "count" && Phase_Parse(words[2], &phase))
    return count(words[1], phase);
  if (words.size() == 3 && words[0] == "forward") return forward(words[1], std::stoi(words[2]));
  std::cerr << "usage: benchmark_net count NET.prototxt TRAIN|TEST\n"
               "       benchmark_net forward DEPLOY.prototxt BATCH\n";
  return 2;
}

}  // namespace
}  // namespace doppio

int main(int argc, char** argv) {
  FLAGS_logtostderr = true;
  FLAGS_minloglevel = google::GLOG_WARNING;
  google::InitGoogleLogging(argv[0]);
  try {
    return doppio::run({argv + 1, argv + argc});
  } catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
