// `doppio convert imageset`: a database from image files.
#include "data/convert_imageset.hpp"

#include <gflags/gflags.h>
#include <glog/logging.h>

#include <random>

#include "doppio/error.hpp"
#include "tools/command.hpp"
#include "tools/flags.hpp"
#include "tools/progress.hpp"

DEFINE_bool(shuffle, false, "put the images into a random order");
DEFINE_int64(seed, -1, "of --shuffle; a negative one is drawn, and logged");
DEFINE_int32(resize_height, 0, "height to resize all images to, in pixels; 0: keep");
DEFINE_int32(resize_width, 0, "width to resize all images to, in pixels; 0: keep");
DEFINE_bool(check_size, false, "refuse images that differ in size");
DEFINE_bool(encoded, false, "store image files instead of pixels");
DEFINE_string(encode_type, "",
              "format to store, such as png or jpg; empty: as the file's name ends");
DEFINE_bool(resume, false, "go on where an interrupted conversion stopped");
DEFINE_string(on_error, "fail", "what images that cannot be read do: fail, or skip them");

namespace doppio {

namespace {

int run(const Arguments& given) {
  if (FLAGS_on_error != "fail" && FLAGS_on_error != "skip")
    throw UsageError("--on_error=" + FLAGS_on_error + ": fail or skip is wanted");
  ImagesetOptions options;
  options.root = given.operands[0];
  options.list = given.operands[1];
  options.database = given.operands[2];
  options.overwrite = FLAGS_overwrite;
  options.resume = FLAGS_resume;
  options.gray = FLAGS_gray;
  options.shuffle = FLAGS_shuffle;
  options.seed = FLAGS_seed < 0 ? std::random_device()() : static_cast<std::uint64_t>(FLAGS_seed);
  options.backend = FLAGS_backend;
  options.resize_height = FLAGS_resize_height;
  options.resize_width = FLAGS_resize_width;
  options.check_size = FLAGS_check_size;
  options.encoded = FLAGS_encoded;
  options.encode_type = FLAGS_encode_type;
  options.on_error = FLAGS_on_error == "skip" ? OnError::skip : OnError::fail;
  options.threads = FLAGS_threads;
  options.progress = log_progress("images");
  if (FLAGS_shuffle) LOG(INFO) << "Shuffling data, --seed=" << options.seed;
  const ImagesetResult result = convert_imageset(options);
  LOG_IF(INFO, result.resumed > 0) << "Went on behind image " << result.resumed << " of the list.";
  for (const std::string& image : result.damaged) LOG(WARNING) << "skipped " << image;
  LOG(INFO) << "Processed " << result.written << " files, skipped " << result.damaged.size() << ".";
  return kDone;
}

}  // namespace

Command convert_imageset_command() {
  return {
      .name = "convert imageset",
      .summary = "make a database from image files and a list of their labels",
      .operands = "ROOT/ LIST DB",
      .flags = {"gray", "shuffle", "seed", "backend", "resize_height", "resize_width", "check_size",
                "encoded", "encode_type", "on_error", "overwrite", "resume"},
      .example =
          "doppio convert imageset --resize_height=256 --resize_width=256 --shuffle \\\n"
          "    images/ train.txt train_lmdb",
      .run = run,
      .min_operands = 3,
      .max_operands = 3,
      .notes =
          "LIST has a line \"path label\" for each image; ROOT/ is put before the path.\n"
          "With --on_error=fail all damaged images are listed and no database is made.\n"
          "With --resume what is done stays after an error, a full disk or a kill, and the same\n"
          "command (with --shuffle, and the same --seed) goes on from there."};
}

}  // namespace doppio
