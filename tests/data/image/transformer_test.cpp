#include "data/image/transformer.hpp"

#include <google/protobuf/text_format.h>

#include <numeric>

#include "doppio.pb.h"
#include "support/expect_error.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

Transformer make(const std::string& text, bool train = false) {
  TransformationParameter param;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &param));
  return Transformer(param, train);
}

/// C x H x W bytes 0, 1, 2, ...
struct Counting {
  Counting(Index c, Index h, Index w) : bytes(static_cast<std::size_t>(c * h * w)) {
    std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
    image = {c, h, w, 0, bytes.data(), nullptr, h * w, w, 1};
  }
  std::vector<std::uint8_t> bytes;
  Image image;
};

std::vector<float> run(Transformer& t, const Image& image, const Random& draws = {}) {
  std::vector<float> out(static_cast<std::size_t>(t.prepare(image.shape()).count()));
  t.apply(image, draws, out.data());
  return out;
}

using Values = std::vector<float>;

TEST(Transformer, CopiesWithoutParameters) {
  Transformer t = make("");
  EXPECT_EQ(run(t, Counting(2, 1, 2).image), (Values{0, 1, 2, 3}));
}

TEST(Transformer, SubtractsMeanValuesThenScales) {
  Transformer one = make("mean_value: 1 scale: 0.5"), each = make("mean_value: 1 mean_value: 2");
  EXPECT_EQ(run(one, Counting(2, 1, 2).image), (Values{-0.5, 0, 0.5, 1}));
  EXPECT_EQ(run(each, Counting(2, 1, 2).image), (Values{-1, 0, 0, 1}));
}

TEST(Transformer, TestCropIsCentral) {
  Transformer t = make("crop_size: 2");
  EXPECT_EQ(t.prepare({2, 3, 5}), Shape({2, 2, 2}));
  // The crop starts at row (3 - 2) / 2 = 0 and column (5 - 2) / 2 = 1.
  EXPECT_EQ(run(t, Counting(2, 3, 5).image), (Values{1, 2, 6, 7, 16, 17, 21, 22}));
}

TEST(Transformer, ReadsInterleavedPixels) {
  Counting pixels(1, 2, 6);
  const Image image{3, 2, 2, 0, pixels.bytes.data(), nullptr, 1, 6, 3};
  Transformer t = make("");
  EXPECT_EQ(run(t, image), (Values{0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11}));
}

TEST(Transformer, ReadsFloats) {
  const Values values{0.5, 1.5};
  const Image image{1, 1, 2, 0, nullptr, values.data(), 2, 2, 1};
  Transformer t = make("scale: 2");
  EXPECT_EQ(run(t, image), (Values{1, 3}));
}

TEST(Transformer, TrainDrawsEveryCropAndMirrorEquallyOften) {
  Transformer t = make("crop_size: 2 mirror: true", true);
  const Counting counting(1, 3, 4);
  std::map<Values, int> seen;
  const int images = 12000;
  for (std::uint64_t i = 0; i < images; ++i) ++seen[run(t, counting.image, Random{1, 2, i})];
  ASSERT_EQ(seen.size(), 12u);  // 2 x 3 positions, each with and without mirroring
  EXPECT_TRUE(seen.contains({0, 1, 4, 5}));
  EXPECT_TRUE(seen.contains({7, 6, 11, 10}));
  for (const auto& [values, count] : seen) EXPECT_NEAR(count, images / 12.0, 120);
}

TEST(Transformer, MirrorsInTestToo) {
  Transformer t = make("mirror: true");
  int mirrored = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    const Values out = run(t, Counting(1, 1, 3).image, Random{1, 2, i});
    mirrored += out == Values{2, 1, 0};
    EXPECT_TRUE(out == (Values{2, 1, 0}) || out == (Values{0, 1, 2}));
  }
  EXPECT_NEAR(mirrored, 500, 80);
}

class MeanFile : public testing::Test {
 protected:
  Transformer with_mean(const std::string& blob, const std::string& more = {}, bool train = false) {
    BlobProto proto;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(blob, &proto));
    file = folder.write("mean", proto.SerializeAsString());
    return make("mean_file: '" + file + "' " + more, train);
  }
  ScratchFolder folder;
  std::string file;
};

constexpr char kMean[] = "num: 1 channels: 2 height: 1 width: 2 data: [10, 20, 30, 40]";

TEST_F(MeanFile, IsSubtractedPerPixel) {
  Transformer t = with_mean(kMean);
  EXPECT_EQ(run(t, Counting(2, 1, 2).image), (Values{-10, -19, -28, -37}));
}

TEST_F(MeanFile, CropAndMirrorFollowTheImage) {
  Transformer t = with_mean("shape { dim: [1, 3, 4] } data: [0,1,2,3,4,5,6,7,8,9,10,11]",
                            "crop_size: 2 mirror: true", true);
  for (std::uint64_t i = 0; i < 100; ++i)
    EXPECT_EQ(run(t, Counting(1, 3, 4).image, Random{1, 2, i}), (Values{0, 0, 0, 0}));
}

TEST_F(MeanFile, AnyUnambiguousShapeFits) {
  const Counting counting(2, 1, 3);
  const auto result = [&](const std::string& blob) {
    Transformer t = with_mean(blob);
    return run(t, counting.image);
  };
  const Values zeros(6, 0), per_channel{-1, 0, 1, -4, -3, -2};
  EXPECT_EQ(result("shape { dim: [1, 2, 1, 3] } data: [0, 1, 2, 3, 4, 5]"), zeros);
  EXPECT_EQ(result("shape { dim: [2, 1, 3] } double_data: [0, 1, 2, 3, 4, 5]"), zeros);
  EXPECT_EQ(result("shape { dim: [1, 3, 2] } data: [0, 3, 1, 4, 2, 5]"), zeros);
  EXPECT_EQ(result("shape { dim: [2] } data: [1, 7]"), per_channel);
  EXPECT_EQ(result("shape { dim: [1, 2, 1, 1] } data: [1, 7]"), per_channel);
  const Counting gray(1, 2, 2);
  Transformer t = with_mean("shape { dim: [2, 2] } data: [0, 1, 2, 3]");
  EXPECT_EQ(run(t, gray.image), Values(4, 0));
}

TEST_F(MeanFile, OfAnotherSizeIsRefusedWithBothSizes) {
  Transformer t = with_mean(kMean, "crop_size: 1");
  EXPECT_EQ(error_of([&] {
              t.prepare({2, 4, 4});
            }),
            "mean_file " + file +
                " is 1 x 2 x 1 x 2 and the image before the crop is 2 x 4 x 4; make another mean "
                "with `doppio mean`, or give mean_value");
  t.prepare({2, 1, 2});
  EXPECT_ERROR(t.apply(Counting(2, 1, 3).image, {}, nullptr),
               "the image is 2 x 1 x 3 and mean_file " + file + " 2 x 1 x 2");
}

TEST_F(MeanFile, ThatIsNoneIsRefused) {
  EXPECT_ERROR(make("mean_file: 'no'").prepare({1, 1, 1}), "cannot read no: No such file");
  try {
    make("mean_file: 'no'").read_files();
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.field(), "transform_param.mean_file");
    EXPECT_TRUE(contains(e.message(), "; `doppio mean` makes one"));
  }
  Transformer text = make("mean_file: '" + folder.write("text", "text") + "'");
  EXPECT_ERROR(text.prepare({1, 1, 1}), "is not a mean file; it is a text file");
  Transformer few = with_mean("shape { dim: [2, 2] } data: [1, 2, 3]");
  EXPECT_ERROR(few.prepare({1, 2, 2}), "2 x 2 should be 4 values and it holds 3");
}

TEST(Transformer, RefusesContradictions) {
  EXPECT_EQ(error_of([] { make("force_color: true force_gray: true"); }),
            "force_color and force_gray exclude each other");
  EXPECT_EQ(error_of([] { make("mean_file: 'x' mean_value: 1"); }),
            "mean_file and mean_value exclude each other");
  EXPECT_ERROR(make("mean_value: [1, 2]").prepare({3, 2, 2}),
               "2 values of mean_value for 3 channels");
  EXPECT_EQ(error_of([] {
              make("crop_size: 5").prepare({3, 5, 4});
            }),
            "crop_size 5 exceeds the image, 3 x 5 x 4");
}

TEST(Transformer, OtherSizesNeedACrop) {
  Transformer plain = make(""), crop = make("crop_size: 2");
  plain.prepare({1, 2, 2});
  crop.prepare({1, 2, 2});
  float out[4];
  EXPECT_ERROR(plain.apply(Counting(1, 2, 3).image, {}, out),
               "the image is 1 x 2 x 3 and the first one 1 x 2 x 2; give crop_size");
  crop.apply(Counting(1, 2, 3).image, {}, out);
  EXPECT_EQ(out[2], 3);
  EXPECT_ERROR(crop.apply(Counting(2, 2, 2).image, {}, out), "all must have the same channels");
  EXPECT_ERROR(crop.apply(Counting(1, 1, 2).image, {}, out),
               "crop_size 2 exceeds the image, 1 x 1 x 2");
}

}  // namespace
}  // namespace doppio
