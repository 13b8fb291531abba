// The transformer's colour shift and multiple views of an image.
#include <google/protobuf/text_format.h>

#include <numeric>

#include "data/image/transformer.hpp"
#include "doppio.pb.h"
#include "support/expect_error.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

using Values = std::vector<float>;

Transformer make(const std::string& text, bool train) {
  TransformationParameter param;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &param));
  return Transformer(param, train);
}

Values run(Transformer& t, const Image& image, const Random& draws = {}) {
  Values out(static_cast<std::size_t>(t.views() * t.prepare(image.shape()).count()));
  t.apply(image, draws, out.data());
  return out;
}

class ColorShift : public testing::Test {
 protected:
  Transformer shifting(const std::string& more = {}, bool train = true) {
    write_color_components(folder / "pca", components);
    return make("pca_file: '" + folder / "pca" + "' " + more, train);
  }

  ScratchFolder folder;
  const std::vector<std::uint8_t> bytes = {10, 20, 30, 40, 50, 60};
  const Image image{3, 1, 2, 0, bytes.data(), nullptr, 2, 2, 1};
  // One component along the first channel, one equally along the two others.
  const ColorComponents components = {
      {2550, 510, 0},
      {{{1, 0, 0}, {0, std::sqrt(0.5), std::sqrt(0.5)}, {0, std::sqrt(0.5), -std::sqrt(0.5)}}}};
};

TEST_F(ColorShift, AddsOneShiftPerImageAheadOfTheScale) {
  const Random draws = {1, 2, 3};
  const auto shifts_at = [&](const std::string& scale) {
    Transformer shifted = shifting("mean_value: 5 scale: " + scale);
    Transformer plain = make("mean_value: 5 scale: " + scale, true);
    Values shifts = run(shifted, image, draws);
    const Values without = run(plain, image, draws);
    for (std::size_t i = 0; i < shifts.size(); ++i) shifts[i] -= without[i];
    return shifts;
  };
  const Values once = shifts_at("1"), twice = shifts_at("2");
  for (std::size_t c = 0; c < 3; ++c) {
    EXPECT_GT(std::abs(once[2 * c]), 1e-3f);
    EXPECT_NEAR(once[2 * c], once[2 * c + 1], 1e-5f);
    EXPECT_NEAR(twice[2 * c], 2 * once[2 * c], 1e-5f);
  }
  EXPECT_NEAR(once[2], once[4], 1e-5f);  // the second component has equal values in both channels
}

TEST_F(ColorShift, DependsOnTheDrawsAlone) {
  Transformer t = shifting();
  EXPECT_NE(run(t, image, {1, 2, 3}), run(t, image, {1, 2, 4}));
  EXPECT_EQ(run(t, image, {1, 2, 3}), run(t, image, {1, 2, 3}));
}

TEST_F(ColorShift, HasTheDeviationsOfThePaper) {
  Transformer t = shifting("pca_std: 0.1");
  const int n = 10000;
  double first = 0, second = 0, both = 0, mean = 0;
  for (std::uint64_t i = 0; i < n; ++i) {
    const Values out = run(t, image, Random{1, 2, i});
    const double a = out[0] - 10, b = (out[2] - 30) * std::sqrt(2.0);
    first += a * a / n;
    second += b * b / n;
    both += a * b / n;
    mean += a / n;
  }
  // Standard deviations are 0.1 * 2550 / 255 = 1 and 0.1 * 510 / 255 = 0.2.
  EXPECT_NEAR(std::sqrt(first), 1, 0.03);
  EXPECT_NEAR(std::sqrt(second), 0.2, 0.006);
  EXPECT_NEAR(both / 0.2, 0, 0.04);
  EXPECT_NEAR(mean, 0, 0.04);
}

TEST_F(ColorShift, GoesWithAMeanImageAndACrop) {
  BlobProto mean;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
      "shape { dim: [3, 1, 2] } data: [10, 20, 30, 40, 50, 60]", &mean));
  const std::string file = folder.write("mean", mean.SerializeAsString());
  Transformer t = shifting("crop_size: 1 mirror: true mean_file: '" + file + "'");
  Transformer plain = shifting();
  const Values out = run(t, image, {1, 2, 3}), whole = run(plain, image, {1, 2, 3});
  for (std::size_t c = 0; c < 3; ++c)
    EXPECT_NEAR(out[c], whole[2 * c] - static_cast<float>(bytes[2 * c]), 1e-5f);
}

TEST_F(ColorShift, IsForTrainingAlone) {
  Transformer t = shifting("", false);
  EXPECT_EQ(run(t, image), (Values{10, 20, 30, 40, 50, 60}));
}

TEST_F(ColorShift, RefusesWhatDoesNotFit) {
  Transformer t = shifting();
  EXPECT_EQ(error_of([&] {
              t.prepare({1, 4, 4});
            }),
            "pca_file is for images of 3 channels; the image is 1 x 4 x 4; leave pca_file out");
  EXPECT_EQ(error_of([&] { make("pca_std: -1", true); }), "pca_std must not be negative, it is -1");
  Transformer gone = make("pca_file: 'gone'", true);
  EXPECT_ERROR(gone.prepare({3, 4, 4}), "gone");
}

/// 1 x 3 x 4 bytes 0, 1, 2, ...
struct Counting {
  Counting() { std::iota(bytes.begin(), bytes.end(), std::uint8_t{0}); }
  std::vector<std::uint8_t> bytes = std::vector<std::uint8_t>(12);
  Image image{1, 3, 4, 0, bytes.data(), nullptr, 12, 4, 1};
};

TEST(Views, AreCornersCentreAndTheirMirrorImages) {
  const Values five = {0, 1, 4, 5, 2, 3, 6, 7, 4, 5, 8, 9, 6, 7, 10, 11, 1, 2, 5, 6};
  Values ten = five;
  ten.insert(ten.end(), {1, 0, 5, 4, 3, 2, 7, 6, 5, 4, 9, 8, 7, 6, 11, 10, 2, 1, 6, 5});
  const Counting counting;
  Transformer t5 = make("crop_size: 2 views: 5", false);
  Transformer t10 = make("crop_size: 2 views: 10 mirror: true", false);
  EXPECT_EQ(t10.views(), 10);
  EXPECT_EQ(run(t5, counting.image), five);
  EXPECT_EQ(run(t10, counting.image), ten);
}

TEST(Views, MayBeTheCentreAndItsMirrorImage) {
  const Counting counting;
  Transformer cropped = make("crop_size: 2 views: 2 scale: 2", false);
  EXPECT_EQ(run(cropped, counting.image), (Values{2, 4, 10, 12, 4, 2, 12, 10}));
  Transformer whole = make("views: 2", false);
  const Values both = run(whole, counting.image);
  EXPECT_EQ(both.size(), 24u);
  EXPECT_EQ(both[3], 3);
  EXPECT_EQ(both[12], 3);
}

TEST(Views, RefusesWhatDoesNotFit) {
  EXPECT_EQ(error_of([] { make("views: 3 crop_size: 2", false); }),
            "views must be 1, 2, 5 or 10, it is 3");
  EXPECT_EQ(error_of([] { make("views: 10 crop_size: 2", true); }),
            "views are for phase TEST; in TRAIN an image gives one crop, drawn at random");
  EXPECT_EQ(error_of([] { make("views: 10", false); }),
            "10 views need crop_size smaller than the image");
  Transformer whole = make("views: 5 crop_size: 4", false);
  EXPECT_EQ(error_of([&] {
              whole.prepare({1, 4, 4});
            }),
            "5 views need crop_size smaller than the image; crop_size is 4 and the image 1 x 4 x "
            "4");
  EXPECT_EQ(whole.prepare({1, 4, 5}).text(), "1 x 4 x 4");
}

}  // namespace
}  // namespace doppio
