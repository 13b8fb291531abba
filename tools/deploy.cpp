// `doppio deploy`: makes the net for classification from the net for training and testing.
#include <gflags/gflags.h>
#include <glog/logging.h>

#include <filesystem>

#include "io/comma_list.hpp"
#include "net/passes/passes.hpp"
#include "tools/command.hpp"
#include "tools/deploy_net.hpp"
#include "tools/flags.hpp"
#include "tools/setup.hpp"

DEFINE_string(o, "", "file to write");
DEFINE_string(shape, "", "size of the images before the crop: channels, height and width");

namespace doppio {

namespace fs = std::filesystem;

namespace {

Shape shape_of_flag() {
  std::vector<Index> dims;
  for (const std::string& item : comma_list(FLAGS_shape)) {
    constexpr Index kMaxSide = 1 << 16;
    const Index d =
        item.find_first_not_of("0123456789") == item.npos && item.size() < 7 ? std::stoll(item) : 0;
    if (d < 1 || d > kMaxSide) dims.clear();
    dims.push_back(d);
  }
  if (dims.size() != 3)
    throw UsageError("--shape=" + FLAGS_shape +
                     ": expected CHANNELS,HEIGHT,WIDTH, as in 3,256,256");
  return Shape(dims);
}

int run(const Arguments& given) {
  std::error_code unknown;
  if (!FLAGS_o.empty() && fs::equivalent(given.operands[0], FLAGS_o, unknown))
    throw UsageError("-o " + FLAGS_o + " is NET itself; give another name");
  if (fs::is_directory(FLAGS_o, unknown))
    throw UsageError("-o " + FLAGS_o + " is a folder; give the name of a file");
  Overrides overrides(given.sets);
  const NetState state = state_of_flags(TEST);
  SourcedNet source = filter(read_model(overrides, state, given.operands[0]), state);
  overrides.require_all_used();
  const Shape image = FLAGS_shape.empty() ? stored_image(source) : shape_of_flag();
  write_deploy_net(source, image, FLAGS_o);
  LOG_IF(INFO, !FLAGS_o.empty()) << "Wrote the net for classification to " << FLAGS_o;
  return kDone;
}

}  // namespace

Command deploy_command() {
  return {
      .name = "deploy",
      .summary = "make the net for classification from a net for training and testing",
      .operands = "NET",
      .flags = {{"o=FILE", "file to write; without it, the net is printed"},
                {"shape=C,H,W",
                 "size of the images before the crop; needed if the database that NET tests "
                 "on does not exist"},
                {"level", "level of the net, for its include and exclude rules"},
                {"stage=NAMES", "stages of the net, for the same rules"},
                {"set=FIELD=VALUE", "change a field of NET; see `doppio help set`"}},
      .example = "doppio deploy train_val.prototxt -o deploy.prototxt",
      .run = run,
      .min_operands = 1,
      .max_operands = 1,
      .notes =
          "An Input layer replaces the data layer. Its transform_param says how `classify` and\n"
          "`extract` prepare images (mean, scale, crop); Caffe and OpenCV ignore it. Images are\n"
          "resized to the size of the mean image. For a net with a crop but no mean image, one\n"
          "of its mean_value is written beside the net. Losses become Softmax or Sigmoid layers."};
}

}  // namespace doppio
