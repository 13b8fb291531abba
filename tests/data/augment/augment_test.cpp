#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <opencv2/core.hpp>
#include <set>

#include "data/augment/augmenter.hpp"
#include "data/augment/distort.hpp"
#include "data/augment/expand.hpp"
#include "data/augment/noise.hpp"
#include "data/augment/resize.hpp"
#include "data/augment/sample_crop.hpp"
#include "data/image/image_file.hpp"
#include "doppio.pb.h"
#include "support/expect_error.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

template <class Message>
Message parse(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

DrawSequence draws(std::uint64_t pass = 0) { return {{1, 2, pass}, 0}; }

std::vector<ImageObject> objects(const std::vector<Box>& boxes) {
  std::vector<ImageObject> result;
  for (const Box& box : boxes) result.push_back({1, 0, box, false});
  return result;
}

void expect_box(const Box& actual, const Box& wanted) {
  EXPECT_NEAR(actual.xmin, wanted.xmin, 1e-6f);
  EXPECT_NEAR(actual.ymin, wanted.ymin, 1e-6f);
  EXPECT_NEAR(actual.xmax, wanted.xmax, 1e-6f);
  EXPECT_NEAR(actual.ymax, wanted.ymax, 1e-6f);
}

/// Returns the values of an 8-bit image, row by row.
std::vector<int> bytes(const cv::Mat& image) {
  std::vector<int> result;
  for (int y = 0; y < image.rows; ++y)
    for (int x = 0; x < image.cols * image.channels(); ++x) result.push_back(image.ptr(y)[x]);
  return result;
}

TEST(ProjectObjects, ClipsToTheFrameAndDropsWhatIsBeyond) {
  std::vector<ImageObject> found = objects({{0.5f, 0.25f, 1, 0.75f}, {0, 0, 0.25f, 1}});
  project_objects(found, {0.25f, 0, 0.75f, 1}, nullptr);
  ASSERT_EQ(found.size(), 1u);
  expect_box(found[0].box, {0.5f, 0.25f, 1, 0.75f});
  // A frame larger than the image makes boxes smaller.
  project_objects(found, {-1, -1, 1, 1}, nullptr);
  expect_box(found[0].box, {0.75f, 0.625f, 1, 0.875f});
}

TEST(ProjectObjects, KeepsWhatTheConstraintWants) {
  const std::vector<ImageObject> all = objects({{0.2f, 0, 0.6f, 1}, {0.4f, 0, 0.9f, 1}});
  const Box left_half{0, 0, 0.5f, 1};
  const auto kept = [&](const std::string& text) {
    const auto emit = parse<EmitConstraint>(text);
    std::vector<ImageObject> left = all;
    project_objects(left, left_half, &emit);
    return left.size();
  };
  EXPECT_EQ(kept(""), 1u);  // the centres are at 0.4 and 0.65
  EXPECT_EQ(kept("emit_type: MIN_OVERLAP emit_overlap: 0.1"), 2u);  // 0.75 and 0.2 are inside
  EXPECT_EQ(kept("emit_type: MIN_OVERLAP emit_overlap: 0.5"), 1u);
  EXPECT_EQ(kept("emit_type: MIN_OVERLAP emit_overlap: 0.8"), 0u);
}

TEST(MirrorObjects, SwapsLeftAndRight) {
  std::vector<ImageObject> found = objects({{0.1f, 0.2f, 0.4f, 0.5f}});
  mirror_objects(found);
  expect_box(found[0].box, {0.6f, 0.2f, 0.9f, 0.5f});
}

TEST(Expand, PutsTheImageOnACanvasOfTheMean) {
  const auto p = parse<TransformationParameter>(
      "mean_value: 7 mean_value: 8 mean_value: 9 expand_param { max_expand_ratio: 4 }");
  std::set<std::pair<int, int>> sizes;
  for (std::uint64_t pass = 0; pass < 20; ++pass) {
    cv::Mat image(2, 3, CV_8UC3, cv::Scalar(200, 201, 202));
    DrawSequence d = draws(pass);
    std::vector<ImageObject> whole = objects({{0, 0, 1, 1}});
    project_objects(whole, expand(image, p, d), nullptr);
    const Box box = whole[0].box;
    sizes.insert({image.rows, image.cols});
    EXPECT_LE(image.rows, 8);
    EXPECT_LE(image.cols, 12);
    for (int y = 0; y < image.rows; ++y)
      for (int x = 0; x < image.cols; ++x) {
        const float cx = (static_cast<float>(x) + 0.5f) / static_cast<float>(image.cols);
        const float cy = (static_cast<float>(y) + 0.5f) / static_cast<float>(image.rows);
        const bool inside = cx > box.xmin && cx < box.xmax && cy > box.ymin && cy < box.ymax;
        EXPECT_EQ(image.at<cv::Vec3b>(y, x),
                  inside ? cv::Vec3b(200, 201, 202) : cv::Vec3b(7, 8, 9));
      }
  }
  EXPECT_GT(sizes.size(), 3u);
  cv::Mat image(2, 3, CV_8UC1, cv::Scalar(200));
  DrawSequence d = draws();
  expect_box(expand(image, parse<TransformationParameter>("expand_param { prob: 0 }"), d),
             {0, 0, 1, 1});
  EXPECT_EQ(error_of([&] { expand(image, p, d); }),
            "3 values of mean_value for 1 channels; give one, or one per channel");
}

TEST(Expand, NeverBeyondTheLargestImage) {
  const auto p =
      parse<TransformationParameter>("mean_value: 0 expand_param { max_expand_ratio: 100 }");
  DrawSequence d = draws();
  for (int i = 0; i < 4; ++i) {
    cv::Mat image(8000, 8000, CV_8U, cv::Scalar(1));
    expand(image, p, d);
    EXPECT_LE(Index{image.rows} * image.cols, kMaxPixels);
  }
}

TEST(CutOut, TakesWholePixels) {
  cv::Mat image(4, 4, CV_8U);
  for (int i = 0; i < 16; ++i) image.data[i] = static_cast<unsigned char>(i);
  expect_box(cut_out(image, {0.25f, 0.5f, 0.8f, 1}), {0.25f, 0.5f, 0.75f, 1});
  EXPECT_EQ(bytes(image), (std::vector<int>{9, 10, 13, 14}));
  expect_box(cut_out(image, {0.9f, 0.9f, 0.95f, 0.95f}), {0.5f, 0.5f, 1, 1});  // at least one pixel
}

TEST(SampleCrop, MeetsItsConstraint) {
  const auto crop_of = [](const std::string& text, std::uint64_t pass) {
    AnnotatedDataParameter p = parse<AnnotatedDataParameter>(text);
    check_samplers(p.batch_sampler());
    DrawSequence d = draws(pass);
    return sample_crop(p.batch_sampler(), objects({{0.4f, 0.4f, 0.6f, 0.6f}}), d);
  };
  const std::string half = "sampler { min_scale: 0.5 max_scale: 0.5 ";
  for (std::uint64_t pass = 0; pass < 20; ++pass) {
    const Box free = *crop_of("batch_sampler { " + half + "} }", pass);
    EXPECT_NEAR(free.width(), 0.5f, 1e-6f);
    EXPECT_NEAR(free.height(), 0.5f, 1e-6f);
    const Box wide =
        *crop_of("batch_sampler { " + half + "min_aspect_ratio: 2 max_aspect_ratio: 9 } }", pass);
    EXPECT_NEAR(wide.area(), 0.25f, 1e-6f);
    EXPECT_GE(wide.width(), 2 * wide.height() - 1e-6f);
    EXPECT_LE(wide.xmax, 1 + 1e-6f);
    const Box around = *crop_of(
        "batch_sampler { " + half + "} sample_constraint { min_object_coverage: 1 } }", pass);
    EXPECT_LE(around.xmin, 0.4f);
    EXPECT_GE(around.xmax, 0.6f);
    const Box apart = *crop_of(
        "batch_sampler { sampler { min_scale: 0.3 max_scale: 0.3 } sample_constraint { "
        "max_jaccard_overlap: 0 } }",
        pass);
    EXPECT_EQ(overlap(apart, {0.4f, 0.4f, 0.6f, 0.6f}), 0);
  }
  EXPECT_FALSE(crop_of("", 0));
  EXPECT_FALSE(crop_of("batch_sampler { use_original_image: false }", 0));
  EXPECT_FALSE(crop_of("batch_sampler { max_sample: 0 }", 0));
  EXPECT_FALSE(
      crop_of("batch_sampler { sample_constraint { min_sample_coverage: 0.5 } max_trials: 9 }", 0));
}

TEST(SampleCrop, TakesOneOfAllThatAreFound) {
  // The whole image once and three halves, so a quarter of the draws returns the whole.
  const auto p = parse<AnnotatedDataParameter>(
      "batch_sampler { max_sample: 1 } "
      "batch_sampler { max_sample: 3 sampler { min_scale: 0.5 max_scale: 0.5 } }");
  int whole = 0;
  for (std::uint64_t pass = 0; pass < 400; ++pass) {
    DrawSequence d = draws(pass);
    whole += sample_crop(p.batch_sampler(), {}, d)->width() > 0.9f;
  }
  EXPECT_GT(whole, 70);
  EXPECT_LT(whole, 130);
}

TEST(ResizeImage, WarpsOrKeepsTheAspectRatio) {
  const cv::Mat wide(2, 4, CV_8U, cv::Scalar(50)), high(4, 2, CV_8U, cv::Scalar(50));
  const auto resized = [](cv::Mat image, const std::string& text) {
    DrawSequence d = draws();
    const Box frame = resize_image(image, parse<ResizeParameter>(text), d);
    return std::pair(image, frame);
  };
  const auto expect = [](const std::pair<cv::Mat, Box>& actual, cv::Size size, const Box& frame) {
    EXPECT_EQ(actual.first.size(), size);
    expect_box(actual.second, frame);
  };
  expect(resized(wide, "height: 6 width: 5"), {5, 6}, {0, 0, 1, 1});
  const std::string small = "resize_mode: FIT_SMALL_SIZE height: 6 width: 6";
  expect(resized(wide, small), {12, 6}, {0, 0, 1, 1});
  expect(resized(high, small), {6, 12}, {0, 0, 1, 1});
  const std::string pad = "resize_mode: FIT_LARGE_SIZE_AND_PAD height: 8 width: 8 pad_value: 9";
  expect(resized(wide, pad), {8, 8}, {0, -0.5f, 1, 1.5f});
  const auto padded = resized(high, pad);
  expect(padded, {8, 8}, {-0.5f, 0, 1.5f, 1});
  EXPECT_EQ(bytes(padded.first.row(3)), (std::vector<int>{9, 9, 50, 50, 50, 50, 9, 9}));
  EXPECT_EQ(bytes(resized(high, pad + " pad_mode: REPEAT_NEAREST").first.row(3)),
            std::vector<int>(8, 50));
  std::vector<ImageObject> whole = objects({{0, 0, 1, 1}});
  project_objects(whole, padded.second, nullptr);
  expect_box(whole[0].box, {0.25f, 0, 0.75f, 1});
  EXPECT_EQ(error_of([&] {
              resized(cv::Mat(1, 60000, CV_8U, cv::Scalar(0)),
                      "resize_mode: FIT_SMALL_SIZE height: 600 width: 600");
            }),
            "an image of 1 x 60000 pixels is too long to cover 600 x 600");
}

TEST(ResizeImage, DrawsTheInterpolation) {
  std::set<std::vector<int>> results;
  const auto p = parse<ResizeParameter>(
      "height: 5 width: 5 interp_mode: [LINEAR, AREA, NEAREST, CUBIC, LANCZOS4]");
  for (std::uint64_t pass = 0; pass < 40; ++pass) {
    cv::Mat image(7, 7, CV_8U);
    for (int i = 0; i < 49; ++i) image.data[i] = static_cast<unsigned char>(i * i % 200);
    DrawSequence d = draws(pass);
    resize_image(image, p, d);
    results.insert(bytes(image));
  }
  EXPECT_EQ(results.size(), 5u);
}

/// Returns the results of 40 draws for one pixel (B, G, R).
std::set<std::vector<int>> distorted(const cv::Scalar& pixel, const std::string& text) {
  std::set<std::vector<int>> results;
  for (std::uint64_t pass = 0; pass < 40; ++pass) {
    cv::Mat image(1, 1, CV_8UC3, pixel);
    DrawSequence d = draws(pass);
    distort(image, parse<DistortionParameter>(text), d);
    results.insert(bytes(image));
  }
  return results;
}

TEST(Distort, ChangesBrightnessAndContrast) {
  const auto bright = distorted({100, 100, 100}, "brightness_prob: 1 brightness_delta: 10");
  EXPECT_GT(bright.size(), 10u);
  for (const std::vector<int>& pixel : bright) EXPECT_NEAR(pixel[0], 100, 10);
  EXPECT_EQ(distorted({100, 60, 20}, "contrast_prob: 1 contrast_lower: 0.5 contrast_upper: 0.5"),
            (std::set<std::vector<int>>{{50, 30, 10}}));
  EXPECT_EQ(distorted({100, 60, 20}, "").size(), 1u);
  EXPECT_EQ(distorted({100, 60, 20}, "contrast_prob: 0.5 contrast_upper: 0").size(), 2u);
}

TEST(Distort, ChangesColours) {
  EXPECT_EQ(distorted({100, 60, 20}, "saturation_prob: 1 saturation_upper: 0"),
            (std::set<std::vector<int>>{{100, 100, 100}}));
  const auto hues = distorted({100, 60, 20}, "hue_prob: 1 hue_delta: 60");
  EXPECT_GT(hues.size(), 10u);
  for (const std::vector<int>& pixel : hues)
    EXPECT_EQ(*std::max_element(pixel.begin(), pixel.end()), 100);
  EXPECT_EQ(distorted({1, 2, 3}, "random_order_prob: 1").size(), 6u);
}

TEST(Distort, ContrastComesBeforeOrBehindTheColours) {
  // 200 * 2 is clipped to 255, so the order of the operations matters.
  EXPECT_EQ(distorted({200, 100, 100},
                      "contrast_prob: 1 contrast_lower: 2 contrast_upper: 2 "
                      "saturation_prob: 1 saturation_lower: 0.5 saturation_upper: 0.5")
                .size(),
            2u);
}

/// Returns a one-row image of `pixels` after adding noise.
cv::Mat noisy(const cv::Mat& pixels, const std::string& text) {
  cv::Mat image = pixels.clone();
  DrawSequence d = draws();
  add_noise(image, parse<NoiseParameter>(text), d);
  return image;
}

TEST(AddNoise, ChangesValues) {
  const cv::Mat gray = (cv::Mat_<unsigned char>(1, 3) << 100, 101, 255);
  const cv::Mat color(1, 1, CV_8UC3, cv::Scalar(255, 0, 0));
  EXPECT_EQ(bytes(noisy(gray, "inverse: true")), (std::vector<int>{155, 154, 0}));
  EXPECT_EQ(bytes(noisy(gray, "posterize: true")), (std::vector<int>{96, 96, 224}));
  EXPECT_EQ(bytes(noisy(gray, "erode: true")), (std::vector<int>{100, 100, 101}));
  EXPECT_EQ(bytes(noisy(gray, "decolorize: true")), bytes(gray));
  EXPECT_EQ(bytes(noisy(color, "decolorize: true")), (std::vector<int>{29, 29, 29}));
  EXPECT_EQ(bytes(noisy(gray, "hist_eq: true")), (std::vector<int>{0, 128, 255}));
  EXPECT_EQ(bytes(noisy(color, "convert_to_hsv: true")), (std::vector<int>{120, 255, 255}));
  const cv::Mat lab = noisy(cv::Mat(1, 1, CV_8UC3, cv::Scalar::all(255)), "convert_to_lab: true");
  EXPECT_NEAR(lab.at<cv::Vec3f>(0, 0)[0], 100, 0.1f);
  EXPECT_NEAR(lab.at<cv::Vec3f>(0, 0)[1], 0, 0.1f);
}

TEST(AddNoise, ChangesNeighbours) {
  cv::Mat dot(9, 9, CV_8U, cv::Scalar(0));
  dot.at<unsigned char>(4, 4) = 255;
  const cv::Mat blurred = noisy(dot, "gauss_blur: true");
  EXPECT_LT(blurred.at<unsigned char>(4, 4), 40);
  EXPECT_GT(blurred.at<unsigned char>(4, 5), 5);
  cv::Mat pattern(64, 64, CV_8UC3);
  for (int i = 0; i < 64 * 64 * 3; ++i)
    pattern.data[i] = static_cast<unsigned char>(i / 3 % 64 * 2 + i % 7);
  for (const std::string kind : {"jpeg: 5", "clahe: true"}) {
    const cv::Mat result = noisy(pattern, kind);
    EXPECT_EQ(result.size(), pattern.size());
    EXPECT_EQ(result.type(), pattern.type());
    EXPECT_NE(bytes(result), bytes(pattern)) << kind;
  }
}

TEST(AddNoise, StrewsPixels) {
  const cv::Mat image(10, 10, CV_8UC3, cv::Scalar::all(5));
  const cv::Mat strewn =
      noisy(image, "saltpepper: true saltpepper_param { fraction: 0.3 value: [1, 2, 3] }");
  int changed = 0;
  for (int i = 0; i < 100; ++i) {
    const cv::Vec3b& pixel = strewn.at<cv::Vec3b>(i / 10, i % 10);
    if (pixel == cv::Vec3b(5, 5, 5)) continue;
    EXPECT_EQ(pixel, cv::Vec3b(1, 2, 3));
    ++changed;
  }
  EXPECT_GT(changed, 15);
  EXPECT_LE(changed, 30);
}

TEST(Augmenter, RefusesBadParameters) {
  const auto expect_error =
      [](const std::string& transform, const std::string& samplers, const std::string& message) {
    EXPECT_ERROR(Augmenter(parse<TransformationParameter>(transform),
                           parse<AnnotatedDataParameter>(samplers)),
                 message);
  };
  expect_error("distort_param { hue_delta: -1 }", "",
               "hue_delta must not be negative or infinite, it is -1");
  expect_error("distort_param { contrast_lower: 2 contrast_upper: 1 }", "",
               "contrast_upper 1 is less than contrast_lower 2");
  expect_error("expand_param { max_expand_ratio: 0.5 }", "",
               "max_expand_ratio must be from 1 to 100, it is 0.5");
  expect_error("expand_param {} mean_file: 'm'", "", "expand_param needs mean_value");
  expect_error("resize_param { height: 3 }", "", "height 3 and width 0: give both");
  expect_error("noise_param { saltpepper_param { fraction: 2 } }", "",
               "fraction 2 is out of range");
  expect_error("noise_param { jpeg: 101 }", "", "jpeg 101 is out of range");
  expect_error("", "batch_sampler { sampler { min_scale: 2 } }", "0 < min_scale <= max_scale <= 1");
  expect_error("", "batch_sampler { sampler { min_aspect_ratio: 2 } }",
               "0 < min_aspect_ratio <= max_aspect_ratio");
  expect_error("", "batch_sampler { max_trials: 2000000 }", "max_trials must be at most 1000000");
}

TEST(Augmenter, SaysWhereImagesDoNotFit) {
  const auto error = [](cv::Mat image, const std::string& transform) {
    const Augmenter augmenter(parse<TransformationParameter>(transform), {});
    std::vector<ImageObject> none;
    return error_of([&] { augmenter.apply(image, none, {}); });
  };
  const cv::Mat gray(2, 2, CV_8U, cv::Scalar(0));
  EXPECT_TRUE(contains(error(gray, "distort_param { hue_prob: 1 }"),
                       "distort_param changes colors, but the image is gray"));
  EXPECT_TRUE(contains(error(gray, "noise_param { convert_to_hsv: true }"),
                       "noise_param converts colors, but the image is gray"));
}

}  // namespace
}  // namespace doppio
