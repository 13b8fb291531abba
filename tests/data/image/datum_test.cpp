#include "data/image/datum.hpp"

#include <iostream>
#include <opencv2/imgcodecs.hpp>

#include "doppio.pb.h"
#include "io/input_file.hpp"
#include "support/expect_error.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

std::string encode(const cv::Mat& image, const std::string& ending) {
  std::vector<unsigned char> bytes;
  cv::imencode(ending, image, bytes);
  return {bytes.begin(), bytes.end()};
}

/// Returns 2 x 3 pixels with the value 100 c + 10 h + w.
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

TEST(Datum, FilesThatAreNotMarkedAsEncodedAreNamed) {
  DatumReader reader;
  EXPECT_EQ(error_of([&] { reader.read(raw_record(0, 0, 0, encode(small_image(), ".jpg"))); }),
            "the record holds a JPEG image, but its field `encoded` is not set");
  EXPECT_ERROR(reader.read(raw_record(3, 2, 3, encode(small_image(), ".png"))),
               "holds a PNG image");
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

/// Returns an Exif block with an orientation, in either byte order.
std::string exif(char orientation, bool big = true) {
  const std::string block =
      big ? std::string("MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0", 19) + orientation
          : std::string("II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0", 18) + orientation +
                '\0';
  return block + std::string(6, '\0');
}

std::string with_exif(std::string jpeg, const std::string& block) {
  return jpeg.insert(2, std::string("\xff\xe1\0\x22"
                                    "Exif\0\0",
                                    10) +
                            block);
}

/// Inserts a chunk before the pixels of `png`.
std::string with_chunk(std::string png, const std::string& type, const std::string& contents) {
  constexpr std::size_t kAfterHeader = 33;
  const auto big_endian = [](std::uint32_t value) {
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 255);
    return bytes;
  };
  std::uint32_t crc = ~0u;
  for (const char c : type + contents) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
  }
  return png.insert(kAfterHeader, big_endian(static_cast<std::uint32_t>(contents.size())) + type +
                                      contents + big_endian(~crc));
}

cv::Mat by_opencv(const std::string& file, int mode) {
  return cv::imdecode(
      cv::Mat(1, static_cast<int>(file.size()), CV_8UC1, const_cast<char*>(file.data())), mode);
}

void expect_equal(const cv::Mat& a, const cv::Mat& b) {
  ASSERT_EQ(a.size(), b.size());
  ASSERT_EQ(a.type(), b.type());
  EXPECT_EQ(cv::norm(a, b, cv::NORM_INF), 0);
}

cv::Mat noise(int channels) {
  cv::Mat picture(20, 40, CV_8UC(channels));
  cv::randu(picture, 0, 256);
  return picture;
}

TEST(ImageFile, JpegsHaveTheirPixelsAsOpenCvDecodesThem) {
  for (const std::string& file : {encode(noise(3), ".jpg"), encode(noise(1), ".jpg")}) {
    expect_equal(decode_image(file, Color::color), by_opencv(file, cv::IMREAD_COLOR));
    expect_equal(decode_image(file, Color::gray), by_opencv(file, cv::IMREAD_GRAYSCALE));
    expect_equal(decode_image(file, Color::as_stored), by_opencv(file, cv::IMREAD_UNCHANGED));
  }
}

// A file of 2 x 3 CMYK pixels.
constexpr char kCmykJpeg[] =
    "\377\330\377\356\000\016\101\144\157\142\145\000\144\000\000\000\000\000\377\333\000\103\000"
    "\024"
    "\016\017\022\017\015\024\022\020\022\027\025\024\030\036\062\041\036\034\034\036\075\054\056"
    "\044"
    "\062\111\100\114\113\107\100\106\105\120\132\163\142\120\125\155\126\105\106\144\210\145\155"
    "\167"
    "\173\201\202\201\116\140\215\227\214\175\226\163\176\201\174\377\300\000\024\010\000\002\000"
    "\003"
    "\004\103\021\000\115\021\000\131\021\000\113\021\000\377\304\000\025\000\001\001\000\000\000"
    "\000"
    "\000\000\000\000\000\000\000\000\000\000\004\005\377\304\000\041\020\000\002\000\003\011\000"
    "\000"
    "\000\000\000\000\000\000\000\000\000\000\003\002\064\162\001\004\005\023\024\122\123\221\222"
    "\377"
    "\332\000\016\004\103\000\115\000\131\000\113\000\000\077\000\056\043\076\352\203\351\321\302"
    "\277"
    "\066\025\156\062\152\244\267\231\036\370\273\077\377\331";

TEST(ImageFile, CmykJpegsHaveTheirPixelsAsOpenCvDecodesThem) {
  const std::string jpeg(kCmykJpeg, sizeof kCmykJpeg - 1);
  const cv::Mat color = decode_image(jpeg, Color::color);
  expect_equal(color, by_opencv(jpeg, cv::IMREAD_COLOR));
  expect_equal(decode_image(jpeg, Color::as_stored), color);
  expect_equal(decode_image(jpeg, Color::gray), by_opencv(jpeg, cv::IMREAD_GRAYSCALE));
}

TEST(ImageFile, PicturesAreUprightInEveryColorModeAsOpenCvTurnsThem) {
  const std::string jpeg = encode(noise(3), ".jpg"), png = encode(noise(3), ".png");
  for (char orientation = 1; orientation <= 8; ++orientation)
    for (const std::string& file :
         {with_exif(jpeg, exif(orientation)), with_exif(jpeg, exif(orientation, false)),
          with_chunk(png, "eXIf", exif(orientation))}) {
      SCOPED_TRACE(static_cast<int>(orientation));
      const cv::Mat upright = decode_image(file, Color::color);
      EXPECT_EQ(upright.rows, orientation > 4 ? 40 : 20);
      expect_equal(upright, by_opencv(file, cv::IMREAD_COLOR));
      expect_equal(decode_image(file, Color::as_stored), upright);
      expect_equal(decode_image(file, Color::gray), by_opencv(file, cv::IMREAD_GRAYSCALE));
    }
}

TEST(ImageFile, TurnedJpegsAreReducedToo) {
  const std::string jpeg = with_exif(encode(noise(3), ".jpg"), exif(6));
  EXPECT_EQ(decode_image(jpeg, Color::color, 5).rows, 10);
  EXPECT_EQ(decode_image(jpeg, Color::as_stored, 5).cols, 5);
}

TEST(ImageFile, DamagedExifIsIgnored) {
  std::string block = exif(6);
  block[4] = '\x7f';  // a directory offset far beyond the block
  EXPECT_EQ(decode_image(with_exif(encode(noise(3), ".jpg"), block), Color::color).rows, 20);
  EXPECT_EQ(decode_image(with_exif(encode(noise(3), ".jpg"), exif(9)), Color::color).rows, 20);
}

TEST(ImageFile, LostPixelsOfAJpegAreDamage) {
  const std::string jpeg = encode(noise(3), ".jpg"), end("\xff\xd9", 2);
  const std::string cut = jpeg.substr(0, jpeg.size() / 2) + end;
  EXPECT_ERROR(decode_image(cut, Color::color),
               "cannot decode the image: Corrupt JPEG data: premature end of data segment");
  EXPECT_THROW(decode_image(with_exif(cut, exif(6)), Color::gray), Error);
}

TEST(ImageFile, ExtraneousBytesInAJpegAreHarmless) {
  std::string jpeg = encode(noise(3), ".jpg");
  const cv::Mat plain = decode_image(jpeg, Color::color);
  jpeg.insert(jpeg.size() - 2, "cameras");
  expect_equal(decode_image(jpeg, Color::color), plain);
}

TEST(ImageFile, ClaimedPixelsAreComparedWithTheBytesThereAre) {
  std::string jpeg = encode(cv::Mat(16, 16, CV_8UC1, cv::Scalar(7)), ".jpg");
  const std::size_t frame = jpeg.find(std::string("\xff\xc0\x00\x0b\x08\x00\x10\x00\x10", 9));
  ASSERT_NE(frame, std::string::npos);
  jpeg.replace(frame + 5, 4, "\x27\x10\x27\x10");
  EXPECT_ERROR(decode_image(jpeg, Color::color),
               "the image is damaged: it claims 10000 x 10000 pixels in");
}

TEST(ImageFile, DamagedPngsAreNamedByTheirChecksum) {
  std::string png = encode(noise(3), ".png");
  png[png.size() / 2] ^= 1;
  testing::internal::CaptureStderr();
  EXPECT_ERROR(decode_image(png, Color::color),
               "the PNG data is damaged: a checksum is wrong at byte ");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(ImageFile, LibrariesPrintNothing) {
  const std::string png = encode(noise(3), ".png");
  const std::string profile = "icc" + std::string(2, '\0') + "no zlib stream";
  const std::string bitmap = encode(noise(3), ".bmp");
  testing::internal::CaptureStderr();
  expect_equal(decode_image(with_chunk(png, "iCCP", profile), Color::color),
               decode_image(png, Color::color));
  std::string wide = bitmap;
  wide.replace(18, 4, "\xff\xff\xff\x7f");
  EXPECT_THROW(decode_image(wide, Color::color), Error);
  EXPECT_THROW(decode_image(bitmap.substr(0, 40), Color::color), Error);
  std::cerr << "ours";
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "ours");
}

TEST(ImageFile, OtherFilesAreCalledWhatTheyAre) {
  EXPECT_ERROR(decode_image("layer { name: 'a' }", Color::color),
               "it is damaged, or no image file; it is a net's prototxt");
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
  EXPECT_ERROR(decode_image(jpeg.substr(0, jpeg.size() - 2), Color::color),
               "the JPEG data is truncated");
  EXPECT_ERROR(decode_image("no image", Color::color), "it is damaged, or no image file");
}

TEST(ImageFile, RefusesHugeImagesBeforeDecoding) {
  std::string png = encode(small_image(), ".png");
  png.replace(16, 8, std::string("\0\1\0\0\0\1\0\0", 8));
  EXPECT_ERROR(decode_image(png, Color::color), "an image of 65536 x 65536 pixels");
}

TEST(ImageFile, SixteenBitsAreReducedOnlyWhenAsked) {
  const std::string png = encode(cv::Mat(1, 1, CV_16UC1, cv::Scalar(256 * 7)), ".png");
  EXPECT_ERROR(decode_image(png, Color::as_stored), "more than 8 bits");
  EXPECT_EQ(decode_image(png, Color::gray).at<unsigned char>(0, 0), 7);
}

TEST(ImageFile, ReadsWholeFiles) {
  const ScratchFolder folder;
  EXPECT_EQ(read_file(folder.write("a", std::string("x\0y", 3))), std::string("x\0y", 3));
  EXPECT_EQ(read_file(folder.write("b", "")), "");
  EXPECT_ERROR(read_file(folder / "c"), "No such file");
}

}  // namespace
}  // namespace doppio
