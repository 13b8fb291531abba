// Images per second of one core on their way from a record to a batch: parsed, decoded, cropped
// from 256 x 256 to 227 x 227, mirrored, mean image subtracted. Medians of seven rounds.
//   benchmark_data_path [IMAGE.jpg...]   JPEG files to decode instead of a made-up picture
#include <cstdio>
// jpeglib.h needs the line above.
#include <jpeglib.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <random>

#include "data/image/transformer.hpp"
#include "doppio.pb.h"
#include "doppio/error.hpp"

namespace doppio {
namespace {

constexpr int kSize = 256;
constexpr std::uint32_t kCrop = 227;
constexpr double kSeconds = 1;
constexpr int kRounds = 7;

/// Images per second of `one(i)`, i = 0, 1, 2, ..., in kSeconds of the CPU's time, which other
/// programs do not add to.
template <class One>
double rate(One one) {
  const std::clock_t begin = std::clock();
  double seconds = 0;
  std::uint64_t images = 0;
  while (seconds < kSeconds) {
    one(images++);
    if (images % 16 == 0)
      seconds = static_cast<double>(std::clock() - begin) / static_cast<double>(CLOCKS_PER_SEC);
  }
  return static_cast<double>(images) / seconds;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Shapes with soft edges and some noise, about as hard to decode as a photograph.
cv::Mat made_up_picture() {
  cv::Mat picture(kSize, kSize, CV_8UC3), noise(kSize, kSize, CV_8UC3);
  cv::randu(picture, 0, 256);
  cv::GaussianBlur(picture, picture, {}, 6);
  cv::normalize(picture, picture, 0, 255, cv::NORM_MINMAX);
  cv::randn(noise, 8, 6);
  picture += noise;
  return picture;
}

cv::Mat read_picture(const std::string& file) {
  const cv::Mat image = cv::imread(file, cv::IMREAD_COLOR);
  require(!image.empty(), "cannot read ", file);
  cv::Mat resized;
  cv::resize(image, resized, {kSize, kSize});
  return resized;
}

std::string raw_record(const cv::Mat& picture) {
  std::vector<cv::Mat> planes;
  cv::split(picture, planes);
  Datum datum;
  datum.set_channels(3);
  datum.set_height(kSize);
  datum.set_width(kSize);
  for (const cv::Mat& plane : planes)
    datum.mutable_data()->append(plane.begin<char>(), plane.end<char>());
  return datum.SerializeAsString();
}

std::string jpeg_of(const cv::Mat& picture) {
  std::vector<uchar> file;
  cv::imencode(".jpg", picture, file, {cv::IMWRITE_JPEG_QUALITY, 90});
  return {file.begin(), file.end()};
}

std::string jpeg_record(const std::string& jpeg) {
  Datum datum;
  datum.set_encoded(true);
  datum.set_data(jpeg);
  return datum.SerializeAsString();
}

/// What libjpeg alone needs.
void decode_with_libjpeg(const std::string& jpeg, std::vector<JSAMPLE>& pixels) {
  jpeg_decompress_struct info;
  jpeg_error_mgr errors;
  info.err = jpeg_std_error(&errors);
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(jpeg.data()), jpeg.size());
  jpeg_read_header(&info, TRUE);
#ifdef JCS_EXTENSIONS
  info.out_color_space = JCS_EXT_BGR;
#endif
  jpeg_start_decompress(&info);
  const std::size_t row = std::size_t{3} * info.output_width;
  pixels.resize(row * info.output_height);
  while (info.output_scanline < info.output_height) {
    JSAMPROW at = pixels.data() + row * info.output_scanline;
    jpeg_read_scanlines(&info, &at, 1);
  }
  jpeg_finish_decompress(&info);
  jpeg_destroy_decompress(&info);
}

/// Files that a transformer reads.
struct Files {
  Files() {
    folder = std::filesystem::temp_directory_path() /
             ("benchmark_data_path." + std::to_string(std::random_device()()));
    std::filesystem::create_directory(folder);
  }
  ~Files() { std::filesystem::remove_all(folder); }
  std::filesystem::path folder;
};

class DataPath {
 public:
  DataPath(const Files& files, bool pca) : transformer_(parameters(files, pca), true) {
    transformer_.prepare({3, kSize, kSize});
  }
  void run(const std::string& record, std::uint64_t number) {
    transformer_.apply(reader_.read(record), Random{1, 2, number}, out_.data());
  }

 private:
  static TransformationParameter parameters(const Files& files, bool pca) {
    BlobProto mean;
    for (const int dim : {3, kSize, kSize}) mean.mutable_shape()->add_dim(dim);
    for (int i = 0; i < 3 * kSize * kSize; ++i) mean.add_data(static_cast<float>(i % 255));
    TransformationParameter p;
    p.set_mean_file(files.folder / "mean");
    std::ofstream(p.mean_file()) << mean.SerializeAsString();
    p.set_mirror(true);
    p.set_crop_size(kCrop);
    if (!pca) return p;
    p.set_pca_file(files.folder / "pca");
    write_color_components(p.pca_file(), {{14000, 1200, 300}, {{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}}});
    return p;
  }

  Transformer transformer_;
  DatumReader reader_;
  std::vector<float> out_ = std::vector<float>(std::size_t{3} * kCrop * kCrop);
};

void print(const char* what, double images_per_second) {
  std::cout << what << ": " << std::lround(images_per_second) << " images/s\n";
}

int run(const std::vector<std::string>& names) {
  std::vector<cv::Mat> pictures;
  for (const std::string& name : names) pictures.push_back(read_picture(name));
  while (pictures.size() < 64 && names.empty()) pictures.push_back(made_up_picture());
  std::vector<std::string> raw, jpegs, jpeg;
  std::size_t bytes = 0;
  for (const cv::Mat& picture : pictures) {
    raw.push_back(raw_record(picture));
    jpegs.push_back(jpeg_of(picture));
    jpeg.push_back(jpeg_record(jpegs.back()));
    bytes += jpegs.back().size();
  }
  std::cout << pictures.size() << " pictures, " << bytes / pictures.size()
            << " bytes each as JPEG; one thread\n";
  const Files files;
  DataPath plain(files, false), shifted(files, true);
  const std::size_t n = pictures.size();
  std::vector<JSAMPLE> pixels;
  std::vector<double> plain_rates, shifted_rates, alone, decoded, shares;
  for (int round = 0; round < kRounds; ++round) {  // in turns: the clock of a busy machine changes
    plain_rates.push_back(rate([&](std::uint64_t i) { plain.run(raw[i % n], i); }));
    shifted_rates.push_back(rate([&](std::uint64_t i) { shifted.run(raw[i % n], i); }));
    alone.push_back(rate([&](std::uint64_t i) { decode_with_libjpeg(jpegs[i % n], pixels); }));
    decoded.push_back(rate([&](std::uint64_t i) { plain.run(jpeg[i % n], i); }));
    shares.push_back(decoded.back() / alone.back());
  }
  print("raw", median(plain_rates));
  print("raw, colour shift", median(shifted_rates));
  print("libjpeg alone", median(alone));
  print("JPEG", median(decoded));
  std::cout << "JPEG against libjpeg alone: " << std::lround(100 * median(shares)) << " %\n";
  return 0;
}

}  // namespace
}  // namespace doppio

int main(int argc, char** argv) {
  try {
    return doppio::run({argv + 1, argv + argc});
  } catch (const doppio::Error& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
