#include "core/input_file.hpp"
#include "data/datum.hpp"

#include <opencv2/imgcodecs.hpp>

#include "doppio.pb.h"
#include "support/layer_harness.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

std::string encode(const cv::Mat& image, const std::string& ending) {
  std::vector<unsigned char> bytes;
  cv::imencode(ending, image, bytes);
  return {bytes.begin(), bytes.end()};
}

/// 2 x 3 pixels whose channel c at (h, w) is 100 c + 10 h + w.
cv::Mat small_image(int channels = 3) {
  cv::Mat image(2, 3, CV_8UC(channels));
  for (int h = 0; h < 2; ++h)
    for (int w = 0; w < 3; ++w)
      for (int c = 0; c < channels; ++c)
        image.ptr(h)[w * channels + c] = static_cast<unsigned char>(100 * c + 10 * h + w);
  return image;
}

int byte_at(const Image& i, Index c, Index h, Index w) {
  return i.bytes[c * i.channel_step + h * i.row_step + w * i.pixel_step];
}

std::string raw_record(int channels, int height, int width, const std::string& data) {
  Datum datum;
  datum.set_channels(channels);
  datum.set_height(height);
  datum.set_width(width);
  datum.set_data(data);
  datum.set_label(7);
  return datum.SerializeAsString();
}

std::string file_record(const std::string& file) {
  Datum datum;
  datum.set_encoded(true);
  datum.set_data(file);
  return datum.SerializeAsString();
}

TEST(Datum, ReadsRawBytes) {
  DatumReader reader;
  const std::string record = raw_record(2, 1, 3, {1, 2, 3, 4, 5, '\xff'});
  const Image image = reader.read(record);
  EXPECT_EQ(image.shape(), Shape({2, 1, 3}));
  EXPECT_EQ(image.label, 7);
  EXPECT_EQ(image.floats, nullptr);
  EXPECT_EQ(byte_at(image, 0, 0, 1), 2);
  EXPECT_EQ(byte_at(image, 1, 0, 2), 255);
}

TEST(Datum, ReadsFloats) {
  Datum datum;
  datum.set_channels(2);
  datum.set_height(1);
  datum.set_width(1);
  datum.add_float_data(0.5f);
  datum.add_float_data(-3);
  DatumReader reader;
  const Image image = reader.read(datum.SerializeAsString());
  EXPECT_EQ(image.bytes, nullptr);
  EXPECT_EQ(image.floats[0], 0.5f);
  EXPECT_EQ(image.floats[1], -3);
}

TEST(Datum, DecodesImageFiles) {
  const std::string color = file_record(encode(small_image(), ".png"));
  const std::string gray = file_record(encode(small_image(1), ".png"));
  DatumReader stored, to_gray(Color::gray), to_color(Color::color);
  const Image image = stored.read(color);
  EXPECT_EQ(image.shape(), Shape({3, 2, 3}));
  EXPECT_EQ(byte_at(image, 0, 1, 2), 12);
  EXPECT_EQ(byte_at(image, 2, 1, 1), 211);
  EXPECT_EQ(stored.read(gray).shape(), Shape({1, 2, 3}));
  EXPECT_EQ(to_gray.read(color).shape(), Shape({1, 2, 3}));
  EXPECT_EQ(to_color.read(gray).shape(), Shape({3, 2, 3}));
  EXPECT_EQ(byte_at(to_color.read(gray), 2, 1, 1), 11);
}

TEST(Datum, RefusesSizesThatDoNotFitTheData) {
  DatumReader reader;
  const auto error = [&](const std::string& record) {
    return error_of([&] { reader.read(record); });
  };
  EXPECT_EQ(error(raw_record(3, 2, 2, "0123456789")),
            "the record is damaged: it claims 3 x 2 x 2 = 12 values and holds 10");
  EXPECT_TRUE(contains(error(raw_record(1 << 30, 1 << 30, 1 << 30, "x")), "more than 2^36"));
  EXPECT_TRUE(contains(error(raw_record(-1, -2, 1, "xx")), "negative size"));
  EXPECT_EQ(error(raw_record(1, 1, 1, "")), "the record holds no data");
}

TEST(Datum, RefusesDamagedRecords) {
  DatumReader reader;
  const std::string record = raw_record(1, 2, 2, "abcd");
  EXPECT_EQ(error_of([&] { reader.read(record.substr(0, record.size() - 3)); }),
            "the record is damaged: it is not a Datum");
  EXPECT_EQ(error_of([&] { reader.read("\xff\xff\xff"); }),
            "the record is damaged: it is not a Datum");
}

TEST(ImageFile, HeaderStatesTheSize) {
  for (const char* ending : {".png", ".jpg"})
    for (const int channels : {1, 3}) {
      const auto header = image_header(encode(small_image(channels), ending));
      ASSERT_TRUE(header);
      EXPECT_EQ(header->height, 2);
      EXPECT_EQ(header->width, 3);
      EXPECT_EQ(header->channels, channels);
    }
  EXPECT_FALSE(image_header("text"));
  EXPECT_FALSE(image_header("\x89PNG\r\n\x1a\n"));
  EXPECT_FALSE(image_header("\xff\xd8\xff"));
}

TEST(ImageFile, JpegsHaveTheirPixelsAsOpenCvDecodesThem) {
  cv::Mat picture(37, 53, CV_8UC3);
  cv::randu(picture, 0, 256);
  cv::Mat gray_picture(37, 53, CV_8UC1);
  cv::randu(gray_picture, 0, 256);
  const auto expect_same = [](const std::string& file, Color color, int mode) {
    const cv::Mat bytes(1, static_cast<int>(file.size()), CV_8UC1, const_cast<char*>(file.data()));
    const cv::Mat expected = cv::imdecode(bytes, mode), decoded = decode_image(file, color);
    ASSERT_EQ(decoded.size(), expected.size());
    ASSERT_EQ(decoded.type(), expected.type());
    EXPECT_EQ(cv::norm(decoded, expected, cv::NORM_INF), 0);
  };
  for (const std::string& file : {encode(picture, ".jpg"), encode(gray_picture, ".jpg")}) {
    expect_same(file, Color::color, cv::IMREAD_COLOR);
    expect_same(file, Color::gray, cv::IMREAD_GRAYSCALE);
    expect_same(file, Color::as_stored, cv::IMREAD_UNCHANGED);
  }
}

TEST(ImageFile, JpegsOfCamerasAreTurned) {
  const std::string plain = encode(cv::Mat(20, 40, CV_8UC3, cv::Scalar(9, 9, 9)), ".jpg");
  /// `plain` with an Exif block that states an orientation, in either order of bytes.
  const auto stating = [&](char orientation, bool big) {
    const std::string block =
        big ? std::string("MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0", 19) + orientation
            : std::string("II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0", 18) + orientation +
                  '\0';
    std::string jpeg = plain;
    return jpeg.insert(2, std::string("\xff\xe1\0\x22"
                                      "Exif\0\0",
                                      10) +
                              block + std::string(6, '\0'));
  };
  for (const bool big : {true, false}) {
    EXPECT_EQ(decode_image(stating(6, big), Color::color).rows, 40);
    EXPECT_EQ(decode_image(stating(6, big), Color::color, 5).rows, 40);
    EXPECT_EQ(decode_image(stating(6, big), Color::as_stored).rows, 20);
    EXPECT_EQ(decode_image(stating(1, big), Color::color, 5).rows, 5);
    EXPECT_EQ(decode_image(stating(6, big), Color::as_stored, 5).rows, 5);
  }
  std::string damaged = stating(6, true);
  damaged[16] = '\x7f';  // the directory would lie far beyond the block
  EXPECT_EQ(decode_image(damaged, Color::color).rows, 20);
}

TEST(ImageFile, JpegsAreReducedAsFarAsASideAllows) {
  const auto rows = [](int channels, Color color, Index min_side, const char* ending = ".jpg") {
    const cv::Mat image(160, 200, CV_8UC(channels), cv::Scalar(10, 20, 30));
    const cv::Mat decoded = decode_image(encode(image, ending), color, min_side);
    EXPECT_EQ(decoded.channels(), color == Color::gray ? 1 : channels);
    return decoded.rows;
  };
  for (const Color color : {Color::as_stored, Color::color, Color::gray}) {
    EXPECT_EQ(rows(3, color, 0), 160);
    EXPECT_EQ(rows(3, color, 81), 160);
    EXPECT_EQ(rows(3, color, 80), 80);
    EXPECT_EQ(rows(3, color, 40), 40);
    EXPECT_EQ(rows(3, color, 20), 20);
    EXPECT_EQ(rows(3, color, 1), 20);
  }
  EXPECT_EQ(rows(1, Color::as_stored, 40), 40);
  EXPECT_EQ(rows(3, Color::color, 40, ".png"), 160);
}

TEST(ImageFile, RefusesTruncatedFiles) {
  const cv::Mat image(40, 50, CV_8UC3, cv::Scalar(1, 200, 30));
  const std::string jpeg = encode(image, ".jpg"), png = encode(image, ".png");
  EXPECT_EQ(decode_image(jpeg, Color::as_stored).rows, 40);
  for (const double part : {0.2, 0.7, 0.95})
    for (const std::string* file : {&jpeg, &png}) {
      const auto size = static_cast<std::size_t>(part * static_cast<double>(file->size()));
      EXPECT_THROW(decode_image(file->substr(0, size), Color::color), Error) << part;
    }
  EXPECT_TRUE(
      contains(error_of([&] { decode_image(jpeg.substr(0, jpeg.size() - 2), Color::color); }),
               "the JPEG data is truncated"));
  EXPECT_TRUE(contains(error_of([] { decode_image("no image", Color::color); }),
                       "it is damaged, or no image file"));
}

TEST(ImageFile, RefusesHugeImagesBeforeDecoding) {
  std::string png = encode(small_image(), ".png");
  png.replace(16, 8, std::string("\0\1\0\0\0\1\0\0", 8));
  EXPECT_TRUE(contains(error_of([&] { decode_image(png, Color::color); }),
                       "an image of 65536 x 65536 pixels"));
}

TEST(ImageFile, SixteenBitsAreReducedOnlyWhenAsked) {
  const std::string png = encode(cv::Mat(1, 1, CV_16UC1, cv::Scalar(256 * 7)), ".png");
  EXPECT_TRUE(contains(error_of([&] { decode_image(png, Color::as_stored); }), "more than 8 bits"));
  EXPECT_EQ(decode_image(png, Color::gray).at<unsigned char>(0, 0), 7);
}

TEST(ImageFile, ReadsWholeFiles) {
  const ScratchFolder folder;
  EXPECT_EQ(read_file(folder.write("a", std::string("x\0y", 3))), std::string("x\0y", 3));
  EXPECT_EQ(read_file(folder.write("b", "")), "");
  EXPECT_TRUE(contains(error_of([&] { read_file(folder / "c"); }), "No such file"));
}

}  // namespace
}  // namespace doppio
