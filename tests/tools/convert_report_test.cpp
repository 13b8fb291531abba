#include "tools/convert_report.hpp"

#include <gtest/gtest.h>

#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>

#include "doppio/error.hpp"
#include "support/scratch_folder.hpp"
#include "tools/run_command.hpp"

namespace doppio {
namespace {

using LineList = std::vector<std::string>;

/// Returns a set with one image of each of the `labels`.
StoredImages images_of(const std::vector<int>& labels) {
  StoredImages stored;
  for (const int label : labels) stored.add(label, {2, 3}, 100);
  return stored;
}

TEST(ConversionReport, GivesLabelsSizesBytesAndSpeed) {
  StoredImages stored;
  stored.add(0, {28, 28}, 790);
  stored.add(1, {28, 28}, 790);
  stored.add(1, {28, 28}, 790);
  EXPECT_EQ(conversion_report(stored, 0.5),
            (LineList{"Images by label: 0 (1), 1 (2)", "Image size (height x width): 28 x 28",
                      "Stored 3 images, 2370 bytes of records, in 0.5 s: 6 images/s"}));
  stored.add(2, {32, 64}, 4'000'000);
  stored.add(2, {5, 6}, 0);

  EXPECT_EQ(conversion_report(stored, 2, 10),
            (LineList{"Figures of this run, which resumed after image 10:",
                      "Images by label: 0 (1), 1 (2), 2 (2)",
                      "Image sizes (height x width): 5 x 6 to 32 x 64",
                      "Stored 5 images, 4.00237 MB of records, in 2 s: 2.5 images/s"}));
}

TEST(ConversionReport, IsEmptyWithoutImages) {
  EXPECT_EQ(conversion_report({}, 1), LineList{});
  EXPECT_EQ(label_warnings({}), LineList{});
}

TEST(ConversionReport, ListsTwentyLabels) {
  std::vector<int> labels;
  std::string expected = "Images by label: 0 (1)";
  for (int label = 0; label < 20; ++label) labels.push_back(label);
  for (int label = 1; label < 20; ++label) expected += str(", ", label, " (1)");
  EXPECT_EQ(conversion_report(images_of(labels), 1).at(0), expected);
  labels.push_back(20);
  labels.push_back(21);
  EXPECT_EQ(conversion_report(images_of(labels), 1).at(0), expected + " and 2 more");
}

TEST(LabelWarnings, AreNoneForLabelsFromZero) {
  EXPECT_EQ(label_warnings(images_of({0, 1, 2, 1})), LineList{});
}

TEST(LabelWarnings, NameLabelsWithoutImages) {
  EXPECT_EQ(label_warnings(images_of({1, 4})),
            LineList{"no image has label 0, 2 to 3, and the largest label is 4; a classifier has a "
                     "class for each label from 0"});
  EXPECT_EQ(
      label_warnings(images_of({0, 16777216})),
      LineList{"no image has label 1 to 16777215, and the largest label is 16777216; a classifier "
               "has a class for each label from 0"});
  EXPECT_EQ(label_warnings(images_of({1, 4}), 2), LineList{}) << "earlier runs may have the others";
}

TEST(LabelWarnings, NameNegativeLabels) {
  const LineList one = {"1 image has a negative label (-1); a classifier needs labels from 0"};
  EXPECT_EQ(label_warnings(images_of({-1, 0})), one);
  EXPECT_EQ(label_warnings(images_of({-1, 0}), 2), one);
  EXPECT_EQ(label_warnings(images_of({-1})), one);
  EXPECT_EQ(label_warnings(images_of({-1, -2, -1, 0})),
            LineList{"3 images have a negative label (-2, -1); a classifier needs labels from 0"});
}

TEST(ConversionReport, EndsTheLogOfTheCommand) {
  const ScratchFolder folder;
  cv::imwrite(folder / "a.png", cv::Mat(4, 6, CV_8UC3, cv::Scalar(10, 20, 30)));
  cv::imwrite(folder / "b.png", cv::Mat(8, 8, CV_8UC3, cv::Scalar(30, 40, 50)));
  const auto convert = [&](const std::string& list) {
    return run_doppio({"convert", "imageset", folder / "", folder.write("list.txt", list),
                       folder / "db", "--resume"});
  };
  const Outcome first = convert("a.png 0\nb.png 2\nb.png 2\n");
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_TRUE(contains(first.err, "] Processed 3 files, skipped 0.\n")) << first.err;
  EXPECT_TRUE(contains(first.err, "] Images by label: 0 (1), 2 (2)\n")) << first.err;
  EXPECT_TRUE(contains(first.err, "] Image sizes (height x width): 4 x 6 to 8 x 8\n")) << first.err;
  EXPECT_TRUE(contains(first.err, "] Stored 3 images, ")) << first.err;
  EXPECT_TRUE(contains(first.err, "] no image has label 1, and the largest label is 2;"))
      << first.err;

  const Outcome more = convert("a.png 0\nb.png 2\nb.png 2\na.png 3\n");
  ASSERT_EQ(more.exit_code, 0) << more.err;
  EXPECT_TRUE(contains(more.err, "] Figures of this run, which resumed after image 3:\n"))
      << more.err;
  EXPECT_TRUE(contains(more.err, "] Images by label: 3 (1)\n")) << more.err;
  EXPECT_FALSE(contains(more.err, "no image has label")) << more.err;

  const Outcome none = convert("a.png 0\nb.png 2\nb.png 2\na.png 3\n");
  EXPECT_FALSE(contains(none.err, "Images by label")) << none.err;
}

}  // namespace
}  // namespace doppio
