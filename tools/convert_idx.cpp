// `doppio convert idx`: creates a database from files in MNIST's idx format.
#include "data/convert/convert_idx.hpp"

#include <gflags/gflags.h>
#include <glog/logging.h>

#include <chrono>

#include "tools/command.hpp"
#include "tools/convert_report.hpp"
#include "tools/flags.hpp"
#include "tools/interrupt.hpp"
#include "tools/progress.hpp"

namespace doppio {

namespace {

int run(const Arguments& given) {
  require_flag("images", "convert idx");
  require_flag("labels", "convert idx");
  IdxOptions options;
  options.images = FLAGS_images;
  options.labels = FLAGS_labels;
  options.database = given.operands[0];
  options.overwrite = FLAGS_overwrite;
  options.backend = FLAGS_backend;
  const Interruptible signals;
  options.progress = [&, log = log_progress("images")](Index done, Index total) {
    signals.check();
    log(done, total);
  };
  const auto begin = std::chrono::steady_clock::now();
  const StoredImages stored = convert_idx(options);
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
  LOG(INFO) << "Processed " << stored.count << " images.";
  log_conversion(stored, time.count());
  return kDone;
}

}  // namespace

Command convert_idx_command() {
  return {.name = "convert idx",
          .summary = "make a database from images and labels in MNIST's idx format",
          .operands = "DB",
          .flags = {{"images=FILE",
                     "idx file of images, such as train-images-idx3-ubyte, or a .gz of it"},
                    {"labels=FILE",
                     "idx file of labels, such as train-labels-idx1-ubyte, or a .gz of it"},
                    {"backend=FORMAT", "format of the database: lmdb or leveldb"},
                    {"overwrite", "replace DB if it exists, when the new database is complete"}},
          .example =
              "doppio convert idx --images=train-images-idx3-ubyte.gz \\\n"
              "    --labels=train-labels-idx1-ubyte.gz train_lmdb",
          .run = run,
          .min_operands = 1,
          .max_operands = 1,
          .notes =
              "DB is made in DB.partial; --overwrite replaces the old one when the new one is "
              "complete."};
}

}  // namespace doppio
