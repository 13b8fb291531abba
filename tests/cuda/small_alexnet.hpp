#pragma once
// A net with AlexNet's layers on small images, for tests of whole iterations.
#include <string>
#include <vector>

#include "doppio.pb.h"
#include "doppio/solver.hpp"
#include "net/passes/passes.hpp"
#include "support/layer_harness.hpp"

namespace doppio {

/// AlexNet's layers on small images, with convolutions by `engine`.
inline SolverParameter small_alexnet(const std::string& engine) {
  SolverParameter p;
  *p.mutable_train_net_param() = parse_prototxt(R"(
    layer { name: "data" type: "Input" top: "data" top: "label"
            input_param { shape { dim: 2 dim: 3 dim: 35 dim: 35 } shape { dim: 2 } } }
    layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
            convolution_param { num_output: 8 kernel_size: 11 stride: 4 weight_filler { type: "xavier" } } }
    layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
    layer { name: "norm1" type: "LRN" bottom: "conv1" top: "norm1" }
    layer { name: "pool1" type: "Pooling" bottom: "norm1" top: "pool1"
            pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
    layer { name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2"
            convolution_param { num_output: 8 kernel_size: 5 pad: 2 group: 2 weight_filler { type: "xavier" } } }
    layer { name: "relu2" type: "ReLU" bottom: "conv2" top: "conv2" }
    layer { name: "fc6" type: "InnerProduct" bottom: "conv2" top: "fc6"
            inner_product_param { num_output: 16 weight_filler { type: "xavier" } } }
    layer { name: "relu6" type: "ReLU" bottom: "fc6" top: "fc6" }
    layer { name: "drop6" type: "Dropout" bottom: "fc6" top: "fc6" }
    layer { name: "fc8" type: "InnerProduct" bottom: "fc6" top: "fc8"
            inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc8" bottom: "label" top: "loss" })",
                                                "net")
                                     .net;
  for (LayerParameter& layer : *p.mutable_train_net_param()->mutable_layer())
    if (layer.type() == "Convolution")
      layer.mutable_convolution_param()->set_engine(
          engine == "GEMM" ? ConvolutionParameter::GEMM : ConvolutionParameter::DEFAULT);
  p.set_base_lr(0.01f);
  p.set_lr_policy("fixed");
  p.set_momentum(0.9f);
  p.set_random_seed(1);
  return p;
}

/// The same with as many weights in fc6 as are worth updating while the backward pass runs.
inline SolverParameter large_alexnet() {
  SolverParameter p = small_alexnet("GEMM");
  for (LayerParameter& layer : *p.mutable_train_net_param()->mutable_layer())
    if (layer.name() == "fc6") layer.mutable_inner_product_param()->set_num_output(9000);
  return p;
}

/// All weights after so many iterations on images that change.
inline std::vector<std::vector<float>> weights_after(Context& ctx, const SolverParameter& param,
                                                     int iterations) {
  Solver solver(ctx, param);
  for (int i = 0; i < iterations; ++i) {
    Tensor& data = solver.net().blob("data").data;
    float* v = data.write_host();
    for (Index k = 0; k < data.count(); ++k) v[k] = static_cast<float>((k + 31 * i) % 17) / 17;
    solver.step(1);
  }
  std::vector<std::vector<float>> all;
  for (const Parameter& p : solver.net().parameters()) all.push_back(values(p.blob->data));
  return all;
}

}  // namespace doppio
