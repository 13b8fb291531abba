// What an iteration asks of the card, as the emulated one's journal has it.
#include <fstream>

#include "cuda/emulated/launch.hpp"
#include "cuda/gpu_test.hpp"
#include "doppio.pb.h"
#include "doppio/solver.hpp"
#include "net/passes.hpp"

namespace doppio {
namespace {

using Journal = std::map<std::string, int>;

/// The journal of iteration 3 of AlexNet's layers on small images.
Journal journal_of_an_iteration(Context& ctx) {
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
  p.set_base_lr(0.01f);
  p.set_lr_policy("fixed");
  p.set_momentum(0.9f);
  Solver solver(ctx, p);
  solver.save_memory();
  solver.step(2);
  const Journal before = cuda::emulated::journal();
  solver.step(1);
  Journal during = cuda::emulated::journal();
  for (const auto& [what, count] : before)
    if ((during[what] -= count) == 0) during.erase(what);
  return during;
}

class IterationTest : public GpuTest {};

TEST_F(IterationTest, OnlyTheLossComesBack) {
  const Journal journal = journal_of_an_iteration(*ctx);
  EXPECT_EQ(journal.count("upload"), 0u) << "the images were on the card already";
  EXPECT_EQ(journal.at("download"), 1) << "the loss and how many labels were bad";
}

TEST_F(IterationTest, EachConvolutionIsThreeProductsWhateverItsBatchAndGroups) {
  const Journal journal = journal_of_an_iteration(*ctx);
  // conv1 needs no gradient of the images; fc6 and fc8 add their biases by products.
  EXPECT_EQ(journal.at("copy_windows"), 4);
  EXPECT_EQ(journal.at("gather_windows"), 1);
  EXPECT_LE(journal.at("cuBLAS"), 5 + 6 + 4);
}

}  // namespace
}  // namespace doppio
