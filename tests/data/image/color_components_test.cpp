#include "data/image/color_components.hpp"

#include <google/protobuf/text_format.h>

#include <opencv2/core.hpp>
#include <random>

#include "doppio.pb.h"
#include "support/expect_error.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

/// Returns a view of 3 x 1 x W floats in planar order.
Image row_of(const std::vector<float>& values) {
  const Index W = static_cast<Index>(values.size()) / 3;
  return {3, 1, W, 0, nullptr, values.data(), W, W, 1};
}

/// Returns |u . v| of two unit vectors, which is 1 if they are equal up to the sign.
double likeness(const ColorComponents::Vector& u, const ColorComponents::Vector& v) {
  return std::abs(u[0] * v[0] + u[1] * v[1] + u[2] * v[2]);
}

TEST(ColorSums, FindsTheComponentsOfColoursOnALine) {
  // Colours (0, 0, 5), (2, 2, 5): the covariance is 1 in the first two channels.
  const std::vector<float> pixels = {0, 2, 0, 2, 5, 5};
  ColorSums sums;
  sums.add(row_of(pixels));
  const ColorComponents c = sums.components();
  EXPECT_NEAR(c.variances[0], 2, 1e-12);
  EXPECT_NEAR(c.variances[1], 0, 1e-12);
  EXPECT_NEAR(c.variances[2], 0, 1e-12);
  EXPECT_NEAR(likeness(c.directions[0], {std::sqrt(0.5), std::sqrt(0.5), 0}), 1, 1e-12);
}

TEST(ColorSums, AgreesWithOpenCv) {
  std::mt19937 random(1);
  const int n = 500;
  cv::Mat pixels(n, 3, CV_64F);
  std::vector<std::uint8_t> bytes;
  for (int i = 0; i < n; ++i) {
    const int common = static_cast<int>(random() % 150);
    for (int c = 0; c < 3; ++c) {
      bytes.push_back(
          static_cast<std::uint8_t>(common + static_cast<int>(random() % 40) * (c + 1) / 2));
      pixels.at<double>(i, c) = bytes.back();
    }
  }
  ColorSums first, second;  // interleaved pixels, added in two parts
  first.add({3, 20, 10, 0, bytes.data(), nullptr, 1, 30, 3});
  second.add({3, 30, 10, 0, bytes.data() + 600, nullptr, 1, 30, 3});
  first.add(second);
  const ColorComponents c = first.components();
  const cv::PCA pca(pixels, cv::noArray(), cv::PCA::DATA_AS_ROW);
  for (int k = 0; k < 3; ++k) {
    const auto component = static_cast<std::size_t>(k);
    EXPECT_NEAR(c.variances[component] / pca.eigenvalues.at<double>(k), 1, 1e-9);
    const double* v = pca.eigenvectors.ptr<double>(k);
    EXPECT_NEAR(likeness(c.directions[component], {v[0], v[1], v[2]}), 1, 1e-9);
  }
}

TEST(ColorSums, RefusesOtherChannels) {
  ColorSums sums;
  const std::uint8_t byte = 0;
  EXPECT_EQ(error_of([&] {
              sums.add({1, 1, 1, 0, &byte, nullptr, 1, 1, 1});
            }),
            "the image is 1 x 1 x 1; principal components of colors need 3 channels: make the "
            "database in color, or leave out --pca");
}

TEST(ColorComponentsFile, ComesBackAsItWas) {
  const ScratchFolder folder;
  const ColorComponents written = {{3, 2, 1}, {{{1, 0, 0}, {0, 0, -1}, {0, 1, 0}}}};
  write_color_components(folder / "pca", written);
  const ColorComponents read = read_color_components(folder / "pca");
  EXPECT_EQ(read.variances, written.variances);
  EXPECT_EQ(read.directions, written.directions);
}

TEST(ColorComponentsFile, RefusesOtherFiles) {
  const ScratchFolder folder;
  const auto error = [&](const std::string& text) {
    BlobProto blob;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &blob));
    const std::string file = folder.write("file", blob.SerializeAsString());
    return error_of([&] { read_color_components(file); });
  };
  EXPECT_TRUE(contains(error("shape { dim: [1, 3] } data: [1, 2, 3]"),
                       "is not a file of color components: 1 x 3 values instead of 3 x 4; `doppio "
                       "mean DB --pca=FILE` makes one"));
  EXPECT_TRUE(contains(error("shape { dim: [3, 4] } data: [1,1,0,0, -1,0,1,0, 1,0,0,1]"),
                       "the variance of component 1 is -1"));
  EXPECT_TRUE(contains(error("shape { dim: [3, 4] } data: [1,1,0,0, 1,0,1.002,0, 1,0,0,1]"),
                       "the direction of component 1 is 0, 1.002, 0, of length 1.002 instead of 1; "
                       "make the file again with `doppio mean DB --pca=FILE`"));
  EXPECT_TRUE(contains(error("shape { dim: [3, 4] } data: [1,nan,0,0, 1,0,1,0, 1,0,0,1]"),
                       "the direction of component 0 is nan, 0, 0, of length nan"));
  const std::string text = folder.write("text", "no BlobProto");
  EXPECT_ERROR(read_color_components(text), "is not a file of color components; it is a text file");
}

}  // namespace
}  // namespace doppio
