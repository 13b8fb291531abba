// `doppio convert imageset`: creates a database from image files.
#include "data/convert/convert_imageset.hpp"

#include <gflags/gflags.h>
#include <glog/logging.h>

#include <chrono>
#include <iostream>

#include "doppio/error.hpp"
#include "tools/command.hpp"
#include "tools/conversion_flags.hpp"
#include "tools/convert_report.hpp"
#include "tools/flags.hpp"
#include "tools/interrupt.hpp"
#include "tools/progress.hpp"

DECLARE_bool(shuffle);
DEFINE_bool(check_size, false, "refuse images that differ in size");
DEFINE_bool(encoded, false, "store image files instead of pixels");

namespace doppio {

namespace {

int run(const Arguments& given) {
  ImagesetOptions options;
  apply_conversion_flags(given, options);
  options.list = given.operands[1];
  options.resume = FLAGS_resume;
  options.check_size = FLAGS_check_size;
  options.encoded = FLAGS_encoded;
  options.progress = log_progress("images");
  const Interruptible signals;
  options.stop = [&] { return signals.requested(); };
  if (FLAGS_shuffle) LOG(INFO) << "Shuffling data, --seed=" << options.seed;
  const auto begin = std::chrono::steady_clock::now();
  const ImagesetResult result = convert_imageset(options);
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
  if (result.resumed > 0 && result.resumed == result.total)
    LOG(INFO) << "Nothing is left to do: all " << result.total << " images of the list are in "
              << options.database << ".";
  else if (result.resumed > 0)
    LOG(INFO) << "Resumed after image " << result.resumed << " of " << result.total << ".";
  const auto skipped = static_cast<Index>(result.damaged.size());
  for (const std::string& image : result.damaged) LOG(WARNING) << "skipped " << image;
  if (result.stopped) {
    std::vector<std::string> continuing = given.command_line;
    if (!FLAGS_resume) continuing.push_back("--resume");
    if (FLAGS_shuffle && !is_given("seed")) continuing.push_back(str("--seed=", options.seed));
    std::cerr << "doppio: stopped by a signal after " << result.resumed + result.written + skipped
              << " of " << result.total << " images; to continue:\n  " << shell_command(continuing)
              << '\n';
    signals.check();
  }
  LOG(INFO) << "Processed " << result.written << " files, skipped " << result.damaged.size() << ".";
  log_conversion(result.stored, time.count(), result.resumed);
  return kDone;
}

}  // namespace

Command convert_imageset_command() {
  return {
      .name = "convert imageset",
      .summary = "make a database from image files and a list of their labels",
      .operands = "ROOT/ LIST DB",
      .flags = {{"resize_height=N",
                 "height of all images in the database, in pixels (default: that of each file)"},
                {"resize_width=N",
                 "width of all images in the database, in pixels (default: that of each file)"},
                {"gray", "store images with one channel instead of three"},
                {"shuffle", "store the images in random order"},
                {"seed=N", "seed of --shuffle, from 0 on (default: a random one, which is logged)"},
                {"encoded", "store compressed image files instead of pixels"},
                {"encode_type=TYPE",
                 "store files of this type, such as png or jpg (default: that of each file); "
                 "implies --encoded"},
                {"check_size", "refuse images that differ in size"},
                {"on_error=ACTION", "what to do with images that cannot be read: fail or skip"},
                {"backend=FORMAT", "format of the database: lmdb or leveldb"},
                {"overwrite", "replace DB if it exists, when the new database is complete"},
                {"resume",
                 "continue where an interrupted conversion stopped, or add the new images of a "
                 "longer LIST"}},
      .example =
          "doppio convert imageset --resize_height=256 --resize_width=256 --shuffle \\\n"
          "    images/ train.txt train_lmdb",
      .run = run,
      .min_operands = 3,
      .max_operands = 3,
      .notes =
          "LIST has a line \"path label\" for each image; ROOT/ is put before the path.\n"
          "With --on_error=fail, all damaged images are listed and no database is made.\n"
          "The database is made in DB.partial, which no command reads, and renamed to DB when it\n"
          "is complete; with --overwrite, the old DB is kept until then. If the conversion was\n"
          "interrupted, the same command with --resume (and, with --shuffle, the same --seed)\n"
          "continues DB.partial. If DB is complete and LIST has grown, --resume adds the new\n"
          "images to DB. With --resume, DB.partial is also kept after an error."};
}

}  // namespace doppio
