// Images that the GPU transforms come out as the CPU would have made them.
#include "cuda/gpu_test.hpp"
#include "cuda/records.hpp"
#include "data/image/color_components.hpp"
#include "data/image/mean_file.hpp"
#include "doppio.pb.h"
#include "doppio/solver.hpp"
#include "net/passes/passes.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

constexpr int kSide = 9, kImages = 7;

class GpuData : public GpuTest {
 protected:
  /// Records of 3 x 9 x 9 bytes, or of floats from number `floats_from` on.
  std::string make_database(int floats_from = kImages) const {
    const std::string path = folder / str("db", floats_from);
    write_records(path, kImages, kSide, floats_from);
    return path;
  }

  std::string mean_file() const {
    BlobProto mean;
    mean.set_num(1);
    mean.set_channels(3);
    mean.set_height(kSide);
    mean.set_width(kSide);
    for (int i = 0; i < 3 * kSide * kSide; ++i) mean.add_data(static_cast<float>(i % 50) + 0.25f);
    return folder.write("mean", mean.SerializeAsString());
  }

  std::string pca_file() const {
    write_color_components(folder / "pca", {{900, 300, 80}, {{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}}});
    return folder / "pca";
  }

  std::string layer(const std::string& source, const std::string& transform,
                    const char* phase = "TRAIN") const {
    return str("type: 'Data' phase: ", phase, " data_param { backend: LMDB source: '", source,
               "' batch_size: 4 } transform_param { ", transform, " }");
  }

  ScratchFolder folder;
};

TEST_F(GpuData, TransformedBatchesAreTheCpus) {
  const std::string db = make_database();
  const std::string crop = "crop_size: 5 mirror: true ";
  const std::pair<std::string, const char*> cases[] = {
      {"", "TRAIN"},
      {crop + "scale: 0.017", "TRAIN"},
      {crop + "mean_value: 104 mean_value: 117 mean_value: 123 scale: 0.5", "TRAIN"},
      {crop + "mean_file: '" + mean_file() + "' pca_file: '" + pca_file() + "'", "TRAIN"},
      {"mirror: true mean_file: '" + mean_file() + "'", "TRAIN"},
      {"crop_size: 5 views: 10 mean_file: '" + mean_file() + "'", "TEST"}};
  for (const auto& [transform, phase] : cases) {
    SCOPED_TRACE(transform);
    LayerHarness cpu(layer(db, transform, phase), {}, {.tops = 2});
    LayerHarness gpu(layer(db, transform, phase), {}, {.tops = 2, .device = Device::cuda});
    for (int batch = 0; batch < 6; ++batch) {
      cpu.forward();
      gpu.forward();
      EXPECT_EQ(gpu.top(0).shape(), cpu.top(0).shape());
      EXPECT_EQ(values(gpu.top(0).data), values(cpu.top(0).data)) << "batch " << batch;
      EXPECT_EQ(values(gpu.top(1).data), values(cpu.top(1).data)) << "batch " << batch;
    }
  }
}

/// Data, convolution, dropout and momentum: the whole of it, with passes that are captured, and an
/// interruption.
TEST_F(GpuData, TrainingFromADatabaseIsTheCpus) {
  SolverParameter param;
  *param.mutable_train_net_param() =
      parse_prototxt(str("layer { name: 'data' top: 'data' top: 'label' ",
                         layer(make_database(), "crop_size: 7 mirror: true scale: 0.01"), R"( }
    layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
            convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
    layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
    layer { name: "drop" type: "Dropout" bottom: "conv" top: "conv" }
    layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
            inner_product_param { num_output: 7 weight_filler { type: "xavier" } } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" })"),
                     "net")
          .net;
  param.set_base_lr(0.05f);
  param.set_lr_policy("fixed");
  param.set_momentum(0.9f);
  param.set_random_seed(1);
  param.set_snapshot_prefix(folder / "snapshot");
  const auto weights = [](Solver& solver) {
    std::vector<float> all;
    for (const Parameter& p : solver.net().parameters())
      for (const float v : values(p.blob->data)) all.push_back(v);
    return all;
  };
  Context cpu, resumed(test_gpu());
  Solver expected(cpu, param), actual(*ctx, param), second(resumed, param);
  expected.step(12);
  actual.step(7);
  const std::string state = actual.snapshot();
  actual.step(5);
  second.restore(state);
  second.step(5);
  EXPECT_GT(actual.net().replay_count(), 0u);
  EXPECT_EQ(weights(second), weights(actual));
  const std::vector<float> a = weights(actual), e = weights(expected);
  ASSERT_EQ(a.size(), e.size());
  for (std::size_t k = 0; k < e.size(); ++k) ASSERT_NEAR(a[k], e[k], 1e-5f) << k;
}

TEST_F(GpuData, RecordsOfFloatsAreTransformedOnTheHost) {
  const std::string db = make_database(0);
  LayerHarness cpu(layer(db, "crop_size: 5 mirror: true"), {});
  LayerHarness gpu(layer(db, "crop_size: 5 mirror: true"), {}, {.device = Device::cuda});
  for (int batch = 0; batch < 3; ++batch) {
    cpu.forward();
    gpu.forward();
    EXPECT_EQ(values(gpu.top(0).data), values(cpu.top(0).data));
  }
}

TEST_F(GpuData, BothKindsInOneDatabaseAreAnError) {
  LayerHarness gpu(layer(make_database(2), ""), {}, {.device = Device::cuda});
  EXPECT_ERROR(gpu.forward(), "the image is of floats and the first one of");
}

}  // namespace
}  // namespace doppio
