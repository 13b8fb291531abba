// `doppio classify`: prints the most probable classes of images.
#include <gflags/gflags.h>
#include <glog/logging.h>

#include <algorithm>
#include <memory>

#include "io/input_file.hpp"
#include "tools/command.hpp"
#include "tools/ensemble.hpp"
#include "tools/flags.hpp"
#include "tools/image_net.hpp"
#include "tools/interrupt.hpp"
#include "tools/predictions.hpp"
#include "tools/project/project_folder.hpp"
#include "tools/setup.hpp"

DEFINE_int32(top, 5, "number of classes to print for each image");
DEFINE_string(format, "text", "text, csv or json");

namespace doppio {

namespace {

std::vector<std::string> read_labels() {
  std::vector<std::string> labels;
  if (FLAGS_labels.empty()) return labels;
  for (TextLine& line : read_lines(FLAGS_labels)) {
    labels.resize(static_cast<std::size_t>(line.number));  // a blank line is a class without a name
    labels.back() = std::move(line.text);
  }
  return labels;
}

/// Throws: Error if the scores are not probabilities, since only these can be averaged.
void require_probabilities(const std::vector<ImageNet>& nets) {
  for (const ImageNet& net : nets)
    require(net.has_probabilities(), net.model(),
            ": has no Softmax layer, so there are no probabilities that could be averaged");
}

void require_same_classes(const std::vector<ImageNet>& nets,
                          const std::vector<std::string>& labels) {
  const std::size_t classes = nets[0].classes();
  for (const ImageNet& net : nets)
    require(net.classes() == classes, nets[0].model(), " has ", classes, " classes and ",
            net.model(), " ", net.classes(),
            ", so their probabilities cannot be averaged; give models of the same classes");
  require(labels.empty() || labels.size() == classes, FLAGS_labels, ": has ", labels.size(),
          " lines and the net ", classes, " classes");
}

/// The scores of some images, and why some have none.
struct Scored {
  std::vector<std::vector<double>> scores;
  std::vector<std::optional<Error>> errors;
};

/// Returns the scores, averaged over all nets and views.
Scored score(std::vector<ImageNet>& nets, std::span<const ImageFile> images) {
  const std::size_t classes = nets[0].classes();
  Scored scored{{images.size(), std::vector<double>(classes, 0)}, {}};
  for (ImageNet& net : nets) {
    scored.errors = net.run(images);
    const float* value = net.net().blob(net.scores()).data.read_host();
    const double weight = 1 / static_cast<double>(net.views()) / static_cast<double>(nets.size());
    for (std::vector<double>& scores : scored.scores)
      for (Index v = 0; v < net.views(); ++v)
        for (double& s : scores) s += *value++ * weight;
  }
  return scored;
}

/// Classifies all readable images and reports the others. Returns the number of unreadable images.
std::size_t classify(std::vector<ImageNet>& nets, std::span<const ImageFile> images,
                     Predictions& out) {
  const Interruptible signals;
  std::size_t failed = 0;
  while (!images.empty()) {
    signals.check();
    const std::span<const ImageFile> batch = images.first(std::min(nets[0].batch(), images.size()));
    const Scored scored = score(nets, batch);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (scored.errors[i]) {
        print_error(*scored.errors[i]);
        ++failed;
      } else {
        out.print(batch[i], scored.scores[i]);
      }
    }
    images = images.subspan(batch.size());
  }
  return failed;
}

int run(const Arguments& given) {
  use_project_folder("deploy.prototxt");
  require_flag("model", "classify");
  require_flag("weights", "classify");
  if (FLAGS_top < 1) throw UsageError("--top must be at least 1");
  const std::vector<std::string> labels = read_labels();
  const std::unique_ptr<Predictions> out = make_predictions(FLAGS_format, FLAGS_top, labels);
  const std::vector<ImageFile> images = expand_images(given.operands, FLAGS_root);
  Context ctx = open_context();
  apply_flags(ctx);
  Overrides overrides(given.sets);
  const auto arena = std::make_shared<Arena>();
  std::vector<ImageNet> nets;
  for (const Member& files : members_of_flags())
    nets.emplace_back(ctx, files, overrides, std::vector<std::string>{}, arena);
  overrides.require_all_used();
  if (nets.size() > 1 || nets[0].views() > 1) require_probabilities(nets);
  require_same_classes(nets, labels);

  const std::size_t failed = classify(nets, images, *out);
  out->finish();
  require(failed == 0 || images.size() == 1, failed, " of ", images.size(),
          " images could not be classified");
  return failed == 0 ? kDone : kUserError;
}

}  // namespace

Command classify_command() {
  return {
      .name = "classify",
      .summary = "print the most probable classes of images",
      .operands = "IMAGE...",
      .flags =
          {{"model=FILES",
            "deploy prototxt, or one for each file of --weights, separated by commas; or a folder "
            "that `doppio new` made, for the newest weights and the labels in it"},
           {"weights=FILES",
            "weights (.caffemodel or .caffemodel.h5); several files, separated by commas, classify "
            "as an ensemble"},
           {"labels=FILE", "names of the classes, one per line (default: show their numbers)"},
           {"top=N", "classes to print for each image"},
           {"format=FORMAT", "text, csv or json"},
           {"root=PREFIX", "prefix of the paths in lists of images"},
           {"mean=FILE", "mean image to subtract (.binaryproto), of the size before cropping"},
           {"mean_value=VALUES", "values to subtract instead: one, or one per channel (B,G,R)"},
           {"scale=X",
            "factor on the pixels after the mean is subtracted (default: that of the net, else 1)"},
           {"resize=N",
            "resize images to N x N pixels before the center crop (default: the size of the mean "
            "image or, without one, of the net's input)"},
           {"views=N",
            "average the probabilities of N views of each image: 10 (corners, center and their "
            "mirror images), 5 (no mirror images), 2 (center and its mirror image) or 1"},
           {"gpu=ID", "number of the GPU to run on, such as 0 (default: the CPU)"},
           {"set=FIELD=VALUE", "change a field of the net for this run: `doppio help set`"},
           {"level=N", "level of the net, for its include and exclude rules"},
           {"stage=NAMES", "stages of the net, for the same rules, separated by commas"},
           {"no_fusion", "run every layer separately, without fusing it with the next ones"},
           {"reference",
            "classify with the slow reference implementations, to check the fast ones"}},
      .example =
          "doppio classify --model=deploy.prototxt --weights=pets.caffemodel cat.jpg pictures/",
      .run = run,
      .min_operands = 1,
      .max_operands = 1 << 20,
      .notes =
          "An IMAGE is a file, a folder, or a list with a line \"path\" or \"path label\" for "
          "each\nimage. The mean and the scale are those of transform_param in the Input "
          "layer; the flags\noverride them.\n"};
}

}  // namespace doppio
