// `doppio mean`: the mean image of a database.
#include <glog/logging.h>

#include <iostream>

#include "data/image_mean.hpp"
#include "doppio/error.hpp"
#include "tools/command.hpp"
#include "tools/flags.hpp"
#include "tools/progress.hpp"

namespace doppio {

namespace {

int run(const Arguments& given) {
  require(FLAGS_backend == "lmdb", "--backend=", FLAGS_backend, ": only lmdb is known");
  MeanOptions options;
  options.database = given.operands[0];
  if (given.operands.size() > 1) options.output = given.operands[1];
  options.threads = FLAGS_threads;
  options.progress = log_progress("images");
  const ImageMean mean = compute_image_mean(options);
  LOG(INFO) << "Processed " << mean.images << " images of " << mean.shape.text() << ".";
  if (!options.output.empty()) LOG(INFO) << "Write to " << options.output;
  for (std::size_t c = 0; c < mean.channels.size(); ++c)
    std::cout << "mean_value channel [" << c << "]: " << mean.channels[c] << '\n';
  return kDone;
}

}  // namespace

Command mean_command() {
  return {.name = "mean",
          .summary = "compute the mean image of a database, and the mean of each channel",
          .operands = "DB [MEAN.binaryproto]",
          .flags = {"backend"},
          .example = "doppio mean data/ilsvrc12/ilsvrc12_train_lmdb mean.binaryproto",
          .run = run,
          .min_operands = 1,
          .max_operands = 2};
}

}  // namespace doppio
