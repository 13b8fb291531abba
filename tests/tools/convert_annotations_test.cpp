// `doppio convert annotations`: the effect of flags. The library has tests of its own.
#include <gtest/gtest.h>

#include <filesystem>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>

#include "data/storage/leveldb.hpp"
#include "data/storage/lmdb.hpp"
#include "doppio.pb.h"
#include "io/input_file.hpp"
#include "support/scratch_folder.hpp"
#include "tools/run_command.hpp"

namespace doppio {
namespace {

class ConvertAnnotations : public testing::Test {
 protected:
  ConvertAnnotations() {
    cv::imwrite(folder / "a.png", cv::Mat(4, 8, CV_8UC3, cv::Scalar(10, 20, 30)));
    std::string objects;
    for (int i = 0; i < 22; ++i)
      objects += "<object><name>c" + std::to_string(i) +
                 "</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>4</xmax><ymax>2</ymax></bndbox>"
                 "</object>";
    folder.write("a.xml", "<annotation>" + objects + objects + "</annotation>");
    folder.write("empty.xml", "<annotation></annotation>");
    folder.write("good.txt", "a.png a.xml\na.png empty.xml\n");
    folder.write("bad.txt", "a.png a.xml\na.png none.xml\n");
    folder.write("coco.json", R"({"images": [{"id": 1, "file_name": "a.png"}],
      "annotations": [{"image_id": 1, "category_id": 2, "bbox": [0, 0, 4, 2], "iscrowd": 1}],
      "categories": [{"id": 2, "name": "cat"}]})");
  }

  Outcome convert(const std::string& annotations, const std::vector<std::string>& flags) const {
    std::vector<std::string> arguments = {"convert", "annotations", folder / "",
                                          folder / annotations, folder / "db"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    return run_doppio(arguments);
  }

  AnnotatedDatum first() const {
    LmdbReader reader(folder / "db");
    AnnotatedDatum datum;
    EXPECT_TRUE(datum.ParseFromString(std::string(reader.next().value)));
    return datum;
  }

  ScratchFolder folder;
};

TEST_F(ConvertAnnotations, ReportsImagesAndBoxes) {
  const Outcome r = convert("good.txt", {});
  ASSERT_EQ(r.exit_code, 0) << r.err;
  EXPECT_TRUE(contains(r.err, "] Processed 2 files, skipped 0, in ")) << r.err;
  EXPECT_TRUE(contains(r.err, "] Stored 44 boxes; 1 of 2 images have none.\n")) << r.err;
  EXPECT_TRUE(contains(r.err, "class 1 'c0': 2 boxes\n")) << r.err;
  EXPECT_TRUE(contains(r.err, "and 2 more\n")) << r.err;
  EXPECT_TRUE(contains(r.err, "] Wrote the label map " + folder / "db_labelmap.prototxt")) << r.err;
  EXPECT_TRUE(first().datum().encoded());
}

TEST_F(ConvertAnnotations, FlagsTakeEffect) {
  const Outcome pixels = convert("coco.json", {"--encoded=false", "--gray", "--resize_height=2",
                                               "--resize_width=3", "--crowds=skip"});
  ASSERT_EQ(pixels.exit_code, 0) << pixels.err;
  EXPECT_EQ(first().datum().data().size(), 6u);
  EXPECT_EQ(first().annotation_group_size(), 0);
  EXPECT_TRUE(contains(pixels.err, "1 classes of the label map have no boxes")) << pixels.err;
  const Outcome again = convert("coco.json", {"--overwrite", "--backend=leveldb",
                                              "--label_map=" + folder / "db_labelmap.prototxt"});
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_TRUE(is_leveldb(folder / "db"));
  EXPECT_TRUE(contains(again.err, "] Used the label map ")) << again.err;
}

TEST_F(ConvertAnnotations, FailsOrSkips) {
  const Outcome fail = convert("bad.txt", {"--quiet"});
  EXPECT_EQ(fail.exit_code, 1);
  EXPECT_TRUE(contains(fail.err, "none.xml")) << fail.err;
  EXPECT_FALSE(std::filesystem::exists(folder / "db"));
  const Outcome skip = convert("bad.txt", {"--on_error=skip"});
  EXPECT_EQ(skip.exit_code, 0) << skip.err;
  EXPECT_TRUE(contains(skip.err, "] Processed 1 files, skipped 1, in ")) << skip.err;
}

TEST_F(ConvertAnnotations, RefusesBadFlags) {
  EXPECT_EQ(convert("good.txt", {"--on_error=ignore"}).exit_code, 2);
  const Outcome crowds = convert("good.txt", {"--crowds=keep"});
  EXPECT_EQ(crowds.exit_code, 2);
  EXPECT_TRUE(contains(crowds.err, "expected difficult or skip")) << crowds.err;
  EXPECT_EQ(convert("good.txt", {"--label_map=a", "--write_label_map=b"}).exit_code, 2);
}

}  // namespace
}  // namespace doppio
