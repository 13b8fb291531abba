// `doppio mean`: computes the mean image and the principal colour components of a database.
#include <gflags/gflags.h>
#include <glog/logging.h>

#include <iostream>

#include "data/convert/image_mean.hpp"
#include "data/storage/database.hpp"
#include "doppio/error.hpp"
#include "tools/command.hpp"
#include "tools/flags.hpp"
#include "tools/progress.hpp"

DEFINE_string(pca, "", "file for the principal components of the colors");

namespace doppio {

namespace {

void print_components(const ColorComponents& components) {
  for (std::size_t k = 0; k < components.variances.size(); ++k) {
    const ColorComponents::Vector& v = components.directions[k];
    std::cout << "component [" << k << "]: variance " << components.variances[k] << ", direction "
              << v[0] << ' ' << v[1] << ' ' << v[2] << '\n';
  }
}

int run(const Arguments& given) {
  backend_of(FLAGS_backend);  // accepted for Caffe's sake; the backend is detected
  MeanOptions options;
  options.database = given.operands[0];
  if (given.operands.size() > 1) options.output = given.operands[1];
  options.threads = FLAGS_threads;
  options.pca = FLAGS_pca;
  options.progress = log_progress("images");
  const ImageMean mean = compute_image_mean(options);
  LOG(INFO) << "Processed " << mean.images << " images of " << mean.shape.text() << ".";
  for (const std::string& file : {options.output, options.pca})
    if (!file.empty()) LOG(INFO) << "Write to " << file;
  for (std::size_t c = 0; c < mean.channels.size(); ++c)
    std::cout << "mean_value channel [" << c << "]: " << mean.channels[c] << '\n';
  if (mean.components) print_components(*mean.components);
  return kDone;
}

}  // namespace

Command mean_command() {
  return {.name = "mean",
          .summary = "compute the mean image of a database, and the mean of each channel",
          .operands = "DB [MEAN.binaryproto]",
          .flags = {{"pca=FILE",
                     "also write the principal components of the colors to this file, for "
                     "transform_param.pca_file"},
                    {"backend=FORMAT",
                     "accepted as in Caffe and not needed (default: the format is detected)"}},
          .example =
              "doppio mean data/ilsvrc12/ilsvrc12_train_lmdb mean.binaryproto "
              "--pca=pca.binaryproto",
          .run = run,
          .min_operands = 1,
          .max_operands = 2,
          .notes = "DB may be a pattern with * and ? in quotes, for several databases."};
}

}  // namespace doppio
