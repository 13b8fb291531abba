// Prints the five most probable classes of an image, with a net that Doppio or Caffe has trained.
// Usage: classification deploy.prototxt net.caffemodel mean.binaryproto labels.txt image.jpg
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <numeric>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <string>
#include <vector>

#include "doppio.pb.h"
#include "doppio/net.hpp"

namespace {

/// The mean of each channel of a mean image, as `doppio mean` writes it.
std::vector<float> read_channel_means(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  doppio::BlobProto mean;
  doppio::require(in.good() && mean.ParseFromIstream(&in), file, " is not a mean image");
  const int channels = mean.has_shape() ? static_cast<int>(mean.shape().dim(1)) : mean.channels();
  doppio::require(channels > 0 && mean.data_size() >= channels, file, " has no channels");
  const int pixels = mean.data_size() / channels;
  std::vector<float> means;
  for (int c = 0; c < channels; ++c) {
    const auto first = mean.data().begin() + c * pixels;
    means.push_back(std::accumulate(first, first + pixels, 0.0F) / static_cast<float>(pixels));
  }
  return means;
}

std::vector<std::string> read_lines(const std::string& file) {
  std::ifstream in(file);
  doppio::require(in.good(), file, ": cannot be read");
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

/// Writes the image, resized, less the means, as planes of B, G and R (or of gray).
void write_image(const std::string& file, const std::vector<float>& means, doppio::Blob& input) {
  const auto& dims = input.shape().dims();
  const auto channels = static_cast<int>(dims[1]), height = static_cast<int>(dims[2]),
             width = static_cast<int>(dims[3]);
  doppio::require(static_cast<int>(means.size()) == channels, "the mean image has ", means.size(),
                  " channels and the net's input ", channels);
  cv::Mat image = cv::imread(file, channels == 1 ? cv::IMREAD_GRAYSCALE : cv::IMREAD_COLOR);
  doppio::require(!image.empty(), file, ": cannot be read as an image");
  cv::resize(image, image, {width, height});
  float* out = input.data.write_host();
  for (int c = 0; c < channels; ++c)
    for (int h = 0; h < height; ++h)
      for (int w = 0; w < width; ++w)
        *out++ =
            static_cast<float>(image.ptr(h)[w * channels + c]) - means[static_cast<std::size_t>(c)];
}

void classify(char** arguments) {
  const std::string model = arguments[1], weights = arguments[2], image = arguments[5];
  const std::vector<float> means = read_channel_means(arguments[3]);
  const std::vector<std::string> labels = read_lines(arguments[4]);

  doppio::Context context;  // the CPU; Context(doppio::open_accelerator(0)) is the first GPU
  doppio::Net net(context, model, doppio::TEST);
  doppio::require_no_mismatch(net.copy_weights(weights), weights);

  doppio::Blob& input = net.blob(net.inputs().at(0));
  input.reshape(input.shape().with(0, 1));  // one image
  net.reshape();
  write_image(image, means, input);
  net.forward();

  const doppio::Tensor& scores = net.blob(net.outputs().at(0)).data;
  const float* score = scores.read_host();
  const auto classes = static_cast<std::size_t>(scores.count());
  doppio::require(labels.size() == classes, "there are ", labels.size(), " labels for ", classes,
                  " classes");
  std::vector<std::size_t> order(classes);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return score[a] > score[b]; });
  std::printf("---------- Prediction for %s ----------\n", image.c_str());
  for (std::size_t i = 0; i < std::min<std::size_t>(5, classes); ++i)
    std::printf("%.4f - \"%s\"\n", static_cast<double>(score[order[i]]), labels[order[i]].c_str());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr,
                 "usage: %s deploy.prototxt net.caffemodel mean.binaryproto labels.txt image\n",
                 argv[0]);
    return 2;
  }
  try {
    classify(argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
