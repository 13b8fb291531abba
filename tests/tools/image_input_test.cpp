#include "tools/image_input.hpp"

#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "data/image/datum.hpp"
#include "doppio.pb.h"
#include "io/input_file.hpp"
#include "net/weights/weights_io.hpp"
#include "support/expect_error.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

/// Returns an asymmetric colour image: pixel (h, w) has B = 10 h + w, G = 100 + h, R = 200 + w.
cv::Mat sample(int height, int width) {
  cv::Mat image(height, width, CV_8UC3);
  for (int h = 0; h < height; ++h)
    for (int w = 0; w < width; ++w)
      image.at<cv::Vec3b>(h, w) = {static_cast<uchar>(10 * h + w), static_cast<uchar>(100 + h),
                                   static_cast<uchar>(200 + w)};
  return image;
}

std::vector<float> prepared(const ImagePreparation& preparation, const Shape& input,
                            const std::string& file) {
  std::vector<float> out(static_cast<std::size_t>(input.count()));
  ImageInput(preparation, input).read(file, out.data());
  return out;
}

/// Returns the data layer's output for a record in phase TEST.
std::vector<float> trained_on(const std::string& record, const TransformationParameter& param,
                              const Shape& input) {
  DatumReader reader(input[0] == 1 ? Color::gray : Color::color);
  const Image image = reader.read(record);
  Transformer transformer(param, false);
  EXPECT_EQ(transformer.prepare(image.shape()), input);
  std::vector<float> out(static_cast<std::size_t>(input.count()));
  transformer.apply(image, Random{}, out.data());
  return out;
}

class ImageInputTest : public testing::Test {
 protected:
  ImageInputTest() { cv::imwrite(file, sample(6, 8)); }

  std::string encoded_record(const std::string& path) const {
    Datum datum;
    datum.set_data(read_file(path));
    datum.set_encoded(true);
    return datum.SerializeAsString();
  }

  std::string write_mean(const Shape& shape) const {
    BlobProto mean;
    for (const Index dim : shape.dims()) mean.mutable_shape()->add_dim(dim);
    for (Index i = 0; i < shape.count(); ++i) mean.add_data(0.25f * static_cast<float>(i));
    write_message(folder / "mean.binaryproto", mean);
    return folder / "mean.binaryproto";
  }

  ScratchFolder folder;
  std::string file = folder / "image.png";
};

TEST_F(ImageInputTest, IsPlanarBlueGreenRedMinusMeanTimesScale) {
  ImagePreparation p;
  p.mean_value = {1, 2, 3};
  p.scale = 0.5f;
  const std::vector<float> out = prepared(p, {3, 6, 8}, file);
  const auto at = [&](int c, int h, int w) {
    return out.at(static_cast<std::size_t>(c * 6 + h) * 8 + static_cast<std::size_t>(w));
  };
  EXPECT_EQ(at(0, 2, 3), (23 - 1) * 0.5f);
  EXPECT_EQ(at(1, 5, 0), (105 - 2) * 0.5f);
  EXPECT_EQ(at(2, 0, 7), (207 - 3) * 0.5f);
}

TEST_F(ImageInputTest, EqualsTheTrainingTransformWithAMeanImageAndACrop) {
  cv::imwrite(file, sample(7, 7));
  ImagePreparation p;
  p.mean_file = write_mean({1, 3, 7, 7});
  p.scale = 0.125f;
  TransformationParameter param;
  param.set_mean_file(p.mean_file);
  param.set_scale(p.scale);
  param.set_crop_size(4);
  EXPECT_EQ(prepared(p, {3, 4, 4}, file), trained_on(encoded_record(file), param, {3, 4, 4}));
}

TEST_F(ImageInputTest, EqualsTheTrainingTransformAfterResizing) {
  cv::Mat resized;
  cv::resize(sample(6, 8), resized, cv::Size(5, 5));
  const std::string small = folder / "small.png";
  cv::imwrite(small, resized);
  ImagePreparation p;
  p.resize = 5;
  TransformationParameter param;
  param.set_crop_size(3);
  EXPECT_EQ(prepared(p, {3, 3, 3}, file), trained_on(encoded_record(small), param, {3, 3, 3}));
  p.resize = 0;  // resized to the input's size without a crop
  EXPECT_EQ(prepared(p, {3, 5, 5}, file), trained_on(encoded_record(small), {}, {3, 5, 5}));
}

TEST_F(ImageInputTest, IsGrayForAnInputOfOneChannel) {
  EXPECT_EQ(prepared({}, {1, 6, 8}, file), trained_on(encoded_record(file), {}, {1, 6, 8}));
}

TEST_F(ImageInputTest, RefusesWhatDoesNotFit) {
  EXPECT_EQ(
      error_of([&] {
        prepared({}, {2, 6, 8}, file);
      }),
      "the input of the net is not an image; expected 1 or 3 channels x height x width, it is "
      "2 x 6 x 8");
  ImagePreparation p;
  p.resize = 7;
  EXPECT_ERROR(prepared(p, {3, 6, 8}, file), "exceeds");
  p.resize = -1;
  EXPECT_EQ(error_of([&] {
              prepared(p, {3, 6, 6}, file);
            }),
            "resize must not be negative, it is -1");
  p.resize = 4;
  EXPECT_ERROR(prepared(p, {3, 6, 6}, file), "crop_size 6 exceeds");
  const std::string text = folder.write("text.jpg", "no image");
  EXPECT_TRUE(error_of([&] {
                prepared({}, {3, 6, 6}, text);
              }).starts_with(text + ": error: cannot decode the image"));
  EXPECT_ERROR(prepared({}, {3, 6, 6}, "gone.jpg"), "gone.jpg");
}

}  // namespace
}  // namespace doppio
