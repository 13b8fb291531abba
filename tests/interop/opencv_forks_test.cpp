// Layers of Caffe's forks that OpenCV knows as well: it must compute what we compute.
#include <algorithm>
#include <opencv2/dnn.hpp>

#include "doppio.pb.h"
#include "doppio/net.hpp"
#include "math/filler.hpp"
#include "support/layer_harness.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

/// Values of a net's output for the same random input and weights, by us and by OpenCV.
struct Both {
  std::vector<float> ours, theirs;
};

void fill_randomly(Context& ctx, const std::string& name, float least, Tensor& tensor) {
  FillerParameter filler;
  filler.set_type("uniform");
  filler.set_min(least);
  filler.set_max(1);
  fill(ctx, filler, name, 0, tensor);
}

Both run_both(const std::string& prototxt, const std::string& output) {
  const ScratchFolder folder;
  const std::string deploy = folder.write("deploy.prototxt", prototxt);
  Context ctx(1);
  Net net(ctx, deploy, TEST);
  for (Parameter& p : net.parameters()) fill_randomly(ctx, p.layer, -0.5f, p.blob->data);
  for (const std::string& input : net.inputs())
    if (input != "rois") fill_randomly(ctx, input, -1, net.blob(input).data);
  if (net.has_blob("rois")) set_values(net.blob("rois").data, {0, 0, 1, 5, 7, 0, 4, 3, 9, 6});
  net.forward();
  net.save(folder / "w.caffemodel");

  cv::dnn::Net other = cv::dnn::readNetFromCaffe(deploy, folder / "w.caffemodel");
  for (const std::string& input : net.inputs()) {
    Blob& blob = net.blob(input);
    const std::vector<int> sizes(blob.shape().dims().begin(), blob.shape().dims().end());
    other.setInput(cv::Mat(sizes, CV_32F, blob.data.update_host()), input);
  }
  const cv::Mat theirs = other.forward(output);
  const auto* first = reinterpret_cast<const float*>(theirs.data);
  return {values(net.blob(output).data), {first, first + theirs.total()}};
}

void expect_same(const Both& both) {
  ASSERT_EQ(both.ours.size(), both.theirs.size());
  float largest = 0;
  for (std::size_t i = 0; i < both.ours.size(); ++i) {
    EXPECT_NEAR(both.ours[i], both.theirs[i], 1e-4) << "at " << i;
    largest = std::max(largest, std::abs(both.ours[i]));
  }
  EXPECT_GT(largest, 0.01f) << "zeros would prove nothing";
}

void expect_same(const std::string& prototxt, const std::string& output) {
  expect_same(run_both(prototxt, output));
}

/// Detections by falling score; of equal ones OpenCV has another order.
std::vector<float> by_score(const std::vector<float>& detections) {
  std::vector<std::vector<float>> rows;
  for (auto at = detections.begin(); at != detections.end(); at += 7) rows.emplace_back(at, at + 7);
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a[2] > b[2]; });
  std::vector<float> sorted;
  for (const auto& row : rows) sorted.insert(sorted.end(), row.begin(), row.end());
  return sorted;
}

std::string input(const std::string& name, const std::string& dims) {
  return "layer { name: '" + name + "' type: 'Input' top: '" + name +
         "' input_param { shape { dim: [" + dims + "] } } }\n";
}

std::string layer(const std::string& type, const std::string& param) {
  return "layer { name: 'y' type: '" + type + "' bottom: 'x' top: 'y' " + param + " }\n";
}

TEST(OpenCvForks, DetectsWhatSsdDetects) {
  const auto head = [](const std::string& name, int outputs) {
    return "layer { name: '" + name + "' type: 'Convolution' bottom: 'norm' top: '" + name +
           "' convolution_param { num_output: " + std::to_string(outputs) +
           " kernel_size: 3 pad: 1 } }\n layer { name: '" + name +
           "_perm' type: 'Permute' bottom: '" + name + "' top: '" + name +
           "_perm' permute_param { order: 0 order: 2 order: 3 order: 1 } }\n layer { name: '" +
           name + "_flat' type: 'Flatten' bottom: '" + name + "_perm' top: '" + name + "_flat' }\n";
  };
  const Both both = run_both(input("data", "1, 3, 32, 32") + R"(
    layer { name: 'conv' type: 'Convolution' bottom: 'data' top: 'conv'
            convolution_param { num_output: 6 kernel_size: 4 stride: 4 } }
    layer { name: 'norm' type: 'Normalize' bottom: 'conv' top: 'norm'
            norm_param { across_spatial: false channel_shared: false scale_filler { value: 2 } } })" +
                                 head("loc", 16) + head("conf", 12) + R"(
    layer { name: 'scores' type: 'Reshape' bottom: 'conf_flat' top: 'scores'
            reshape_param { shape { dim: [0, -1, 3] } } }
    layer { name: 'prob' type: 'Softmax' bottom: 'scores' top: 'prob' softmax_param { axis: 2 } }
    layer { name: 'prob_flat' type: 'Flatten' bottom: 'prob' top: 'prob_flat' }
    layer { name: 'prior' type: 'PriorBox' bottom: 'norm' bottom: 'data' top: 'prior'
            prior_box_param { min_size: 6 max_size: 11 aspect_ratio: 2 flip: true clip: false
                              variance: [0.1, 0.1, 0.2, 0.2] step: 4 offset: 0.5 } }
    layer { name: 'out' type: 'DetectionOutput' bottom: 'loc_flat' bottom: 'prob_flat' bottom: 'prior'
            top: 'out' detection_output_param { num_classes: 3 share_location: true
              background_label_id: 0 nms_param { nms_threshold: 0.45 top_k: 100 }
              code_type: CENTER_SIZE keep_top_k: 50 confidence_threshold: 0.2 } })",
                             "out");
  expect_same({by_score(both.ours), by_score(both.theirs)});
}

TEST(OpenCvForks, PoolsRegions) {
  const std::string features = input("x", "1, 8, 10, 12") + input("rois", "2, 5");
  const auto pooling = [&](const std::string& type, const std::string& param) {
    return features + "layer { name: 'y' type: '" + type +
           "' bottom: 'x' bottom: 'rois' top: 'y' " + param + " }";
  };
  expect_same(
      pooling("ROIPooling", "roi_pooling_param { pooled_h: 3 pooled_w: 2 spatial_scale: 0.9 }"),
      "y");
  expect_same(pooling("PSROIPooling",
                      "psroi_pooling_param { output_dim: 2 group_size: 2 spatial_scale: 0.9 }"),
              "y");
}

TEST(OpenCvForks, ComputesTheSmallOnes) {
  const std::string x = input("x", "2, 8, 6, 6");
  expect_same(x + layer("Permute", "permute_param { order: [0, 3, 1, 2] }"), "y");
  expect_same(x + layer("ReLU6", ""), "y");
  expect_same(x + layer("Mish", ""), "y");
  expect_same(x + layer("ConvolutionDepthwise",
                        "convolution_param { num_output: 8 kernel_size: 3 group: 8 }"),
              "y");
}

}  // namespace
}  // namespace doppio
