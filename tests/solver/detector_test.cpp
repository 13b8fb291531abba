#include <algorithm>
#include <numeric>

#include "data/storage/lmdb.hpp"
#include "math/philox.hpp"
#include "solver/log_observer.hpp"
#include "solver/tiny_net.hpp"
#include "support/log_lines.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

constexpr int kSize = 24;

/// An image of noise with a square of 8 x 8 pixels, bright (class 1) or dark (class 2).
std::string record(int n) {
  const Random draws{7, 7, static_cast<std::uint64_t>(n)};
  const int label = 1 + n % 2, side = 8;
  const auto x = static_cast<int>(draws.below(kSize - side, 0));
  const auto y = static_cast<int>(draws.below(kSize - side, 1));
  AnnotatedDatum result;
  result.set_type(AnnotatedDatum::BBOX);
  Datum& datum = *result.mutable_datum();
  datum.set_channels(1);
  datum.set_height(kSize);
  datum.set_width(kSize);
  for (int h = 0; h < kSize; ++h)
    for (int w = 0; w < kSize; ++w) {
      const bool inside = h >= y && h < y + side && w >= x && w < x + side;
      const Index noise = draws.below(40, 2 + h * kSize + w);
      datum.mutable_data()->push_back(
          static_cast<char>(inside ? (label == 1 ? 215 + noise : noise) : 108 + noise));
    }
  AnnotationGroup& group = *result.add_annotation_group();
  group.set_group_label(label);
  NormalizedBBox& box = *group.add_annotation()->mutable_bbox();
  const auto fraction = [](int pixels) { return static_cast<float>(pixels) / kSize; };
  box.set_xmin(fraction(x));
  box.set_ymin(fraction(y));
  box.set_xmax(fraction(x + side));
  box.set_ymax(fraction(y + side));
  return result.SerializeAsString();
}

/// Two convolutions, a prior of 8 x 8 pixels per cell of 4 x 4, and SSD's layers.
std::string detector(const std::string& source) {
  const auto head = [](const std::string& name, int outputs) {
    return "layer { name: '" + name + "' type: 'Convolution' bottom: 'c2' top: '" + name +
           "' convolution_param { num_output: " + std::to_string(outputs) +
           " kernel_size: 3 pad: 1 weight_filler { type: 'xavier' } } } layer { name: '" + name +
           "_perm' type: 'Permute' bottom: '" + name + "' top: '" + name +
           "_perm' permute_param { order: [0, 2, 3, 1] } } layer { name: '" + name +
           "_flat' type: 'Flatten' bottom: '" + name + "_perm' top: '" + name + "_flat' } ";
  };
  const auto data = [&](const std::string& phase, const std::string& more) {
    return "layer { name: 'data' type: 'AnnotatedData' top: 'data' top: 'label' include { phase: " +
           phase + " } data_param { source: '" + source +
           "' batch_size: 8 threads: 2 } transform_param { mean_value: 128 scale: 0.01 " + more +
           " } } ";
  };
  return "name: 'detector' " +
         data("TRAIN",
              "mirror: true distort_param { brightness_prob: 0.5 brightness_delta: 10 } "
              "expand_param { prob: 0.3 max_expand_ratio: 1.3 } resize_param { height: 24 width: "
              "24 } emit_constraint {}") +
         data("TEST", "") +
         "layer { name: 'c1' type: 'Convolution' bottom: 'data' top: 'c1' convolution_param { "
         "num_output: 8 kernel_size: 3 pad: 1 stride: 2 weight_filler { type: 'msra' } } } "
         "layer { name: 'r1' type: 'ReLU' bottom: 'c1' top: 'c1' } "
         "layer { name: 'c2' type: 'Convolution' bottom: 'c1' top: 'c2' convolution_param { "
         "num_output: 16 kernel_size: 3 pad: 1 stride: 2 weight_filler { type: 'msra' } } } "
         "layer { name: 'r2' type: 'ReLU' bottom: 'c2' top: 'c2' } " +
         head("loc", 4) + head("conf", 3) +
         "layer { name: 'prior' type: 'PriorBox' bottom: 'c2' bottom: 'data' top: 'prior' "
         "prior_box_param { min_size: 8 variance: [0.1, 0.1, 0.2, 0.2] } } "
         "layer { name: 'loss' type: 'MultiBoxLoss' bottom: 'loc_flat' bottom: 'conf_flat' bottom: "
         "'prior' bottom: 'label' top: 'loss' include { phase: TRAIN } multibox_loss_param { "
         "num_classes: 3 code_type: CENTER_SIZE } } "
         "layer { name: 'scores' type: 'Reshape' bottom: 'conf_flat' top: 'scores' include { "
         "phase: "
         "TEST } reshape_param { shape { dim: 0 dim: -1 dim: 3 } } } "
         "layer { name: 'prob' type: 'Softmax' bottom: 'scores' top: 'prob' include { phase: TEST "
         "} "
         "softmax_param { axis: 2 } } "
         "layer { name: 'prob_flat' type: 'Flatten' bottom: 'prob' top: 'prob_flat' include { "
         "phase: TEST } } "
         "layer { name: 'found' type: 'DetectionOutput' bottom: 'loc_flat' bottom: 'prob_flat' "
         "bottom: 'prior' top: 'found' include { phase: TEST } detection_output_param { "
         "num_classes: 3 code_type: CENTER_SIZE confidence_threshold: 0.05 } } "
         "layer { name: 'detection_eval' type: 'DetectionEvaluate' bottom: 'found' bottom: 'label' "
         "top: 'detection_eval' include { phase: TEST } detection_evaluate_param { num_classes: 3 "
         "} "
         "}";
}

TEST(Detector, LearnsFromAnnotatedDataAndIsJudgedByItsPrecision) {
  const ScratchFolder folder;
  const std::string db = folder / "db";
  {
    LmdbWriter writer(db);
    for (int i = 0; i < 40; ++i) writer.put(str("key", 10 + i), record(i));
    writer.finish();
  }
  Context ctx(3);
  Solver solver(ctx, solver_param("net_param { " + detector(db) +
                                  " } base_lr: 0.003 lr_policy: 'fixed' type: 'Adam' momentum: 0.9 "
                                  "max_iter: 60 test_iter: 5 test_interval: 1000 "
                                  "test_initialization: false snapshot_after_train: false "
                                  "eval_type: 'detection' ap_version: '11point' "
                                  "show_per_class_result: true random_seed: 3"));
  solver.add_observer(make_log_observer());
  const auto diary = keep_diary(solver);
  const float before = solver.test(0).outputs[0].values[0];
  Lines log;
  solver.solve();
  const std::vector<float>& losses = diary->losses;
  ASSERT_EQ(losses.size(), 60u);
  EXPECT_LT(std::accumulate(losses.end() - 10, losses.end(), 0.0f),
            0.4f * std::accumulate(losses.begin(), losses.begin() + 10, 0.0f));
  const TestResult after = solver.test(0);
  ASSERT_EQ(after.outputs.size(), 1u);
  const TestResult::Output& output = after.outputs[0];
  EXPECT_GT(output.values.at(0), 0.6f);
  EXPECT_GT(output.values[0], before);
  ASSERT_EQ(output.precisions.size(), 2u);
  EXPECT_NEAR(output.values[0], (output.precisions.at(1) + output.precisions.at(2)) / 2, 1e-6f);
  EXPECT_TRUE(contains(log.all(), "    Test net output #0: detection_eval = "));
  EXPECT_TRUE(contains(log.all(), "class1: "));
}

TEST(Detector, EvaluationNeedsItsLayer) {
  Context ctx;
  Solver solver(ctx, tiny_solver("max_iter: 1 test_iter: 1 test_interval: 1 "
                                 "eval_type: 'detection'"));
  EXPECT_ERROR(solver.test(0),
               "eval_type: 'detection' needs a DetectionEvaluate layer in test net #0");
}

}  // namespace
}  // namespace doppio
