#include "data/convert/convert_idx.hpp"

#include <zlib.h>

#include "data/convert_fixture.hpp"

namespace doppio {
namespace {

namespace fs = std::filesystem;

class ConvertIdx : public ConvertTest {
 protected:
  static std::string big_endian(std::initializer_list<unsigned> numbers) {
    std::string s;
    for (const unsigned n : numbers)
      for (const int shift : {24, 16, 8, 0}) s.push_back(static_cast<char>(n >> shift & 255));
    return s;
  }
  IdxOptions options(const std::string& image_file, const std::string& label_file) {
    return {folder.write("images", image_file),
            folder.write("labels", label_file),
            folder / "db",
            true,
            {}};
  }
  // Two images of 2 x 3 pixels.
  const std::string images = big_endian({0x803, 2, 2, 3}) + "abcdefghijkl";
  const std::string labels = big_endian({0x801, 2}) + "\x05\xff";
};

TEST_F(ConvertIdx, StoresImagesAndLabels) {
  EXPECT_EQ(convert_idx(options(images, labels)).count, 2);
  const std::vector<Stored> records = read_all(folder / "db");
  EXPECT_EQ(records[0].key, "00000000");
  EXPECT_EQ(records[1].key, "00000001");
  EXPECT_EQ(records[0].datum.label(), 5);
  EXPECT_EQ(records[1].datum.label(), 255);
  EXPECT_EQ(records[1].datum.data(), "ghijkl");
  EXPECT_EQ(records[1].datum.channels(), 1);
  EXPECT_EQ(records[1].datum.height(), 2);
  EXPECT_EQ(records[1].datum.width(), 3);
}

TEST_F(ConvertIdx, ReadsCompressedFiles) {
  IdxOptions o = options(images, labels);
  o.images = folder / "images.gz";
  const gzFile gz = gzopen(o.images.c_str(), "wb");
  gzwrite(gz, images.data(), static_cast<unsigned>(images.size()));
  gzclose(gz);
  EXPECT_EQ(convert_idx(o).count, 2);
  EXPECT_EQ(read_all(folder / "db")[0].datum.data(), "abcdef");
  fs::resize_file(o.images, fs::file_size(o.images) - 12);
  EXPECT_ERROR(convert_idx(o), "images.gz is truncated or damaged");
}

TEST_F(ConvertIdx, RefusesFilesThatAreNotWhatTheyShouldBe) {
  const auto error = [&](const std::string& i, const std::string& l) {
    return error_of([&] { convert_idx(options(i, l)); });
  };
  EXPECT_TRUE(contains(error(labels, labels),
                       "images is not an idx file of images: it begins with 0x00000801"));
  EXPECT_TRUE(contains(error(images, images), "labels is not an idx file of labels"));
  EXPECT_TRUE(contains(error("", labels), "images is truncated"));
  EXPECT_TRUE(contains(error(images.substr(0, 27), labels), "images is truncated"));
  EXPECT_TRUE(contains(error(images, labels.substr(0, 9)), "labels is truncated"));
  EXPECT_TRUE(contains(error(images + "x", labels), "images contains more than its header says"));
  EXPECT_TRUE(contains(error(images, big_endian({0x801, 3}) + "abc"),
                       "has 2 images and " + folder / "labels" + " has 3 labels"));
  EXPECT_TRUE(contains(error(big_endian({0x803, 2, 1u << 31, 1u << 31}), labels),
                       "images of 2147483648 x 2147483648 pixels"));
  EXPECT_TRUE(
      contains(error(big_endian({0x803, 0, 1, 1}), big_endian({0x801, 0})), "has no images"));
  EXPECT_FALSE(fs::exists(folder / "db"));
  IdxOptions missing = options(images, labels);
  missing.images = "noimages";
  EXPECT_ERROR(convert_idx(missing), "cannot read noimages: No such");
}

}  // namespace
}  // namespace doppio
