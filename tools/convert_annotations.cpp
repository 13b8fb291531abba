// `doppio convert annotations`: creates a database from images and the boxes of their objects.
#include "data/convert/convert_annotations.hpp"

#include <gflags/gflags.h>
#include <glog/logging.h>

#include <algorithm>
#include <chrono>

#include "core/printable.hpp"
#include "doppio/error.hpp"
#include "tools/command.hpp"
#include "tools/conversion_flags.hpp"
#include "tools/flags.hpp"
#include "tools/interrupt.hpp"
#include "tools/progress.hpp"

DECLARE_bool(shuffle);
DECLARE_int64(seed);
DECLARE_bool(encoded);
DEFINE_string(label_map, "", "LabelMap with the labels of the classes");
DEFINE_string(write_label_map, "", "file for the LabelMap that is made");
DEFINE_string(crowds, "difficult", "what to do with COCO's boxes of crowds: difficult or skip");

namespace doppio {

namespace {

AnnotationsOptions options_of(const Arguments& given) {
  if (FLAGS_crowds != "difficult" && FLAGS_crowds != "skip")
    throw UsageError("--crowds=" + FLAGS_crowds + ": expected difficult or skip");
  if (!FLAGS_label_map.empty() && !FLAGS_write_label_map.empty())
    throw UsageError("--label_map is read and --write_label_map is made: give one of them");
  AnnotationsOptions options;
  apply_conversion_flags(given, options);
  options.annotations = given.operands[1];
  options.label_map = FLAGS_label_map;
  options.write_label_map = FLAGS_write_label_map;
  options.crowds = FLAGS_crowds == "skip" ? CrowdBoxes::skip : CrowdBoxes::difficult;
  options.encoded = !is_given("encoded") || FLAGS_encoded;
  return options;
}

void log_warnings(const AnnotationsResult& result) {
  const auto warn = [](const Occurrences& found, const char* what) {
    if (found.count > 0) LOG(WARNING) << found.count << what << "; the first: " << found.first;
  };
  warn(result.outside, " boxes extend beyond their image and are stored as they are");
  warn(result.empty, " boxes have no area and are left out");
  warn(result.other_size,
       " images have another size than their annotation states, by which boxes are divided");
}

/// Logs the number of boxes of the most frequent classes.
void log_classes(std::vector<ClassBoxes> classes) {
  constexpr std::size_t kShown = 20;
  std::stable_sort(classes.begin(), classes.end(),
                   [](const ClassBoxes& a, const ClassBoxes& b) { return a.boxes > b.boxes; });
  const auto none = std::find_if(classes.begin(), classes.end(),
                                 [](const ClassBoxes& c) { return c.boxes == 0; });
  const auto with_boxes = static_cast<std::size_t>(none - classes.begin());
  for (std::size_t i = 0; i < std::min(kShown, with_boxes); ++i)
    LOG(INFO) << "    class " << classes[i].label << " '" << printable(classes[i].name)
              << "': " << classes[i].boxes << " boxes";
  if (with_boxes > kShown) LOG(INFO) << "    and " << with_boxes - kShown << " more";
  if (none != classes.end())
    LOG(INFO) << "    " << classes.end() - none << " classes of the label map have no boxes.";
}

int run(const Arguments& given) {
  AnnotationsOptions options = options_of(given);
  const Interruptible signals;
  options.progress = [&, log = log_progress("images")](Index done, Index total) {
    signals.check();
    log(done, total);
  };
  if (FLAGS_shuffle) LOG(INFO) << "Shuffling data, --seed=" << options.seed;
  const auto begin = std::chrono::steady_clock::now();
  const AnnotationsResult result = convert_annotations(options);
  const std::chrono::duration<float> time = std::chrono::steady_clock::now() - begin;
  for (const std::string& image : result.damaged) LOG(WARNING) << "skipped " << image;
  log_warnings(result);
  LOG(INFO) << "Processed " << result.written << " files, skipped " << result.damaged.size()
            << ", in " << time.count() << " s.";
  LOG(INFO) << "Stored " << result.boxes << " boxes; " << result.without_boxes << " of "
            << result.written << " images have none.";
  log_classes(result.classes);
  LOG(INFO) << (options.label_map.empty() ? "Wrote the label map " : "Used the label map ")
            << result.label_map;
  return kDone;
}

}  // namespace

Command convert_annotations_command() {
  return {
      .name = "convert annotations",
      .summary = "make a database of images and boxes from VOC's or COCO's annotations",
      .operands = "ROOT/ ANNOTATIONS DB",
      .flags = {{"label_map=FILE", "file with a LabelMap of the classes (default: one is made)"},
                {"write_label_map=FILE",
                 "where to write the map that is made (default: DB_labelmap.prototxt)"},
                {"crowds=ACTION",
                 "what happens to COCO's crowds: difficult (stored as such) or skip"},
                {"resize_height=N", "height of all images, in pixels (default: that of each file)"},
                {"resize_width=N", "width of all images, in pixels (default: that of each file)"},
                {"gray", "store images with one channel instead of three"},
                {"shuffle", "store the images in random order"},
                {"seed=N", "seed of --shuffle, from 0 on (default: a random one, which is logged)"},
                {"encoded", "store image files, the default; --encoded=false stores pixels"},
                {"encode_type=TYPE",
                 "type of these files, such as png or jpg (default: that of each file)"},
                {"on_error=ACTION", "images or annotations that cannot be used: fail or skip"},
                {"backend=FORMAT", "format of the database: lmdb or leveldb"},
                {"overwrite", "replace DB and its label map when the new ones are complete"}},
      .example =
          "doppio convert annotations VOCdevkit/ trainval.txt trainval_lmdb\n"
          "  doppio convert annotations --label_map=trainval_lmdb_labelmap.prototxt \\\n"
          "    VOCdevkit/ test.txt test_lmdb",
      .run = run,
      .min_operands = 3,
      .max_operands = 3,
      .notes =
          "If ANNOTATIONS ends in .json, it is a COCO file with boxes (instances_*.json), and\n"
          "ROOT/ is put before each file_name. Otherwise it is a list of VOC's files with a line\n"
          "\"IMAGE ANNOTATION.xml\" for each image, and ROOT/ is put before both. The annotation\n"
          "follows the last space, so only IMAGE may contain spaces.\n"
          "Labels are numbered from 1: VOC's classes by name, COCO's by id. Give the label map of\n"
          "the training set to the other sets, because they may lack a class.\n"
          "With --on_error=fail, all damaged images and annotations are listed and no database is\n"
          "made. DB is made in DB.partial; with --overwrite, the old DB is kept until then."};
}

}  // namespace doppio
