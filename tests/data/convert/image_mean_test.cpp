#include "data/convert/image_mean.hpp"

#include "data/convert_fixture.hpp"
#include "data/image/mean_file.hpp"
#include "data/storage/lmdb.hpp"
#include "io/input_file.hpp"

namespace doppio {
namespace {

namespace fs = std::filesystem;

class MeanOf : public ConvertTest {
 protected:
  std::string database(const std::vector<std::string>& values, const std::string& name = "db") {
    std::string path = folder / name;
    LmdbWriter writer(path);
    for (std::size_t i = 0; i < values.size(); ++i) writer.put(str("key", i), values[i]);
    writer.finish();
    return path;
  }
  static std::string record(const std::string& bytes) {
    Datum datum;
    datum.set_channels(2);
    datum.set_height(1);
    datum.set_width(static_cast<int>(bytes.size() / 2));
    datum.set_data(bytes);
    return datum.SerializeAsString();
  }
};

TEST_F(MeanOf, AveragesPixelsAndChannels) {
  MeanOptions o{
      database({record({0, 2, 4, 6}), record({1, 2, 8, '\xff'})}), folder / "mean", 2, {}};
  const ImageMean mean = compute_image_mean(o);
  EXPECT_EQ(mean.images, 2);
  EXPECT_EQ(mean.shape, Shape({2, 1, 2}));
  EXPECT_EQ(mean.channels, (std::vector<double>{1.25, 68.25}));
  BlobProto blob;
  ASSERT_TRUE(blob.ParseFromString(read_file(o.output)));
  EXPECT_EQ(blob.num(), 1);
  EXPECT_FALSE(blob.has_shape());
  const Mean file = read_mean_file(o.output);
  EXPECT_EQ(file.shape, Shape({1, 2, 1, 2}));
  EXPECT_EQ(file.values, (std::vector<float>{0.5, 2, 6, 130.5}));
}

TEST_F(MeanOf, AveragesSeveralDatabases) {
  database({record({0, 2, 4, 6})}, "part-0");
  database({record({1, 2, 8, '\xff'}), record({5, 5, 5, 5})}, "part-1");
  const ImageMean mean = compute_image_mean({folder / "part-*", folder / "mean", 2, {}});
  EXPECT_EQ(mean.images, 3);
  EXPECT_EQ(mean.channels[0], 2.5);
  EXPECT_DOUBLE_EQ(mean.channels[1], 283.0 / 6);
  EXPECT_ERROR(compute_image_mean({folder / "none*", "", 2, {}}), "no folder matches");
  EXPECT_ERROR(compute_image_mean({folder / "part-*", folder / "part-1/mean", 2, {}}),
               "would lie within the database");
  database({record({0, 2})}, "part-2");
  EXPECT_ERROR(compute_image_mean({folder / "part-*", "", 2, {}}),
               "database " + folder / "part-2" + ", record 'key0': the image is");
}

TEST_F(MeanOf, DoesNotDependOnTheNumberOfThreads) {
  std::vector<std::string> records;
  for (int i = 0; i < 300; ++i) records.push_back(record(std::string(6, static_cast<char>(i))));
  MeanOptions o{database(records), "", 1, {}};
  const std::vector<double> expected = compute_image_mean(o).channels;
  Index last = 0;
  o.threads = 4;
  o.progress = [&](Index done, Index) { last = done; };
  EXPECT_EQ(compute_image_mean(o).channels, expected);
  EXPECT_EQ(last, 300);
}

TEST_F(MeanOf, FloatsAndImageFilesCountToo) {
  Datum datum;
  datum.set_channels(1);
  datum.set_height(1);
  datum.set_width(2);
  datum.add_float_data(0.5f);
  datum.add_float_data(1.5f);
  EXPECT_EQ(compute_image_mean({database({datum.SerializeAsString()}), "", 0, {}}).channels,
            std::vector<double>{1});
  image("a.png", 2, 2, {1, 2, 3});
  Datum file;
  file.set_encoded(true);
  file.set_data(read_file(folder / "a.png"));
  fs::remove_all(folder / "db");
  EXPECT_EQ(compute_image_mean({database({file.SerializeAsString()}), "", 0, {}}).channels,
            (std::vector<double>{1, 2, 3}));
}

TEST_F(MeanOf, NamesTheRecordThatDoesNotFit) {
  const std::string path = database({record("abcd"), record("abcdef")});
  EXPECT_EQ(error_of([&] {
              compute_image_mean({path, "", 0, {}});
            }),
            "database " + path +
                ", record 'key1': the image is 2 x 1 x 3 and the first one "
                "2 x 1 x 2; a mean image needs a database of one size");
}

TEST_F(MeanOf, FindsColourComponentsInTheSamePass) {
  // Blue is 0 or 2 and green equals it. Red is always 5.
  Datum datum;
  datum.set_channels(3);
  datum.set_height(1);
  datum.set_width(2);
  datum.set_data(std::string({0, 2, 0, 2, 5, 5}));
  const std::string record = datum.SerializeAsString();
  MeanOptions o{database({record, record, record}), "", 2, {}, folder / "pca"};
  const ImageMean mean = compute_image_mean(o);
  EXPECT_EQ(mean.channels, (std::vector<double>{1, 1, 5}));
  ASSERT_TRUE(mean.components);
  EXPECT_NEAR(mean.components->variances[0], 2, 1e-12);
  EXPECT_NEAR(mean.components->variances[1], 0, 1e-12);
  EXPECT_NEAR(read_color_components(o.pca).variances[0], 2, 1e-6);
  o.pca.clear();
  EXPECT_FALSE(compute_image_mean(o).components);
}

TEST_F(MeanOf, RefusesComponentsOfOtherThanThreeChannels) {
  const std::string path = database({record("abcd")});
  EXPECT_ERROR(compute_image_mean({path, "", 0, {}, folder / "pca"}),
               "record 'key0': the image is 2 x 1 x 2; principal components of colors "
               "need 3 channels");
}

TEST_F(MeanOf, ChecksItsOutputFirst) {
  EXPECT_ERROR(compute_image_mean({"nodb", "no/mean", 0, {}}), "no");
  EXPECT_ERROR(compute_image_mean({"nodb", "", 0, {}}), "no database at");
  const std::string path = database({"\xff"});
  EXPECT_ERROR(compute_image_mean({path, "", 0, {}}), "record 'key0'");
}

}  // namespace
}  // namespace doppio
