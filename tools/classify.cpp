// `doppio classify`: prints the most probable classes of images.
#include <gflags/gflags.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <numeric>

#include "core/arena.hpp"
#include "io/comma_list.hpp"
#include "io/input_file.hpp"
#include "tools/command.hpp"
#include "tools/ensemble.hpp"
#include "tools/flags.hpp"
#include "tools/image_input.hpp"
#include "tools/interrupt.hpp"
#include "tools/setup.hpp"

DEFINE_string(mean, "", "mean image to subtract (.binaryproto), of the size before cropping");
DEFINE_string(mean_value, "", "values to subtract: one, or one per channel (B,G,R)");
DEFINE_double(scale, 1, "factor on the values after the mean is subtracted");
DEFINE_int32(resize, 0,
             "height and width to resize to before the center crop; 0: those of the mean image or, "
             "without one, of the input");

namespace doppio {

namespace {

constexpr std::size_t kShown = 5;

std::vector<float> numbers(const std::string& flag, const std::string& text) {
  std::vector<float> values;
  for (const std::string& item : comma_list(text)) try {
      std::size_t used = 0;
      values.push_back(std::stof(item, &used));
      if (used != item.size() || !std::isfinite(values.back())) throw std::invalid_argument(item);
    } catch (const std::logic_error&) {
      throw UsageError(str("--", flag, "=", text, ": '", item, "' is not a finite number"));
    }
  return values;
}

std::vector<std::string> read_labels() {
  std::vector<std::string> labels;
  if (FLAGS_labels.empty()) return labels;
  for (TextLine& line : read_lines(FLAGS_labels)) {
    labels.resize(static_cast<std::size_t>(line.number));  // a blank line is a class without a name
    labels.back() = std::move(line.text);
  }
  return labels;
}

void print_best(const std::string& image, const std::vector<double>& scores,
                const std::vector<std::string>& labels) {
  const std::size_t classes = scores.size();
  std::vector<std::size_t> order(classes);
  std::iota(order.begin(), order.end(), std::size_t{0});
  const std::size_t shown = std::min(kShown, classes);
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(shown), order.end(),
                    [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  std::printf("---------- Prediction for %s ----------\n", image.c_str());
  for (std::size_t i = 0; i < shown; ++i) {
    const std::size_t c = order[i];
    const std::string name = labels.empty() ? std::to_string(c) : labels[c];
    std::printf("%.4f - \"%s\"\n", scores[c], name.c_str());
  }
}

ImagePreparation preparation_of_flags() {
  ImagePreparation preparation;
  preparation.mean_file = FLAGS_mean;
  preparation.mean_value = numbers("mean_value", FLAGS_mean_value);
  preparation.scale = static_cast<float>(FLAGS_scale);
  constexpr int kMaxSide = 1 << 16;
  if (FLAGS_resize < 0 || FLAGS_resize > kMaxSide)
    throw UsageError(str("--resize=", FLAGS_resize, ": 0 to ", kMaxSide, " pixels are possible"));
  preparation.resize = FLAGS_resize;
  if (FLAGS_views < 0) throw UsageError("--views must not be negative");
  preparation.views = std::max(1, FLAGS_views);
  return preparation;
}

/// A net that classifies images.
class ImageNet {
 public:
  /// `arena` holds the blobs of all nets, which never run at the same time.
  ImageNet(Context& ctx, const Member& files, Overrides& overrides,
           const ImagePreparation& preparation, const std::shared_ptr<Arena>& arena)
      : files_(files), views_(preparation.views) {
    const NetState state = state_of_flags(TEST);
    net_ = std::make_unique<Net>(ctx, read_model(overrides, state, files.model), state);
    require(net_->inputs().size() == 1, files.model,
            ": expected one Input layer with one top, for the image; use the deploy.prototxt of "
            "the model");
    load_weights(*net_, {files.weights});
    Blob& input = net_->blob(net_->inputs()[0]);
    const std::vector<Index>& dims = input.shape().dims();
    require(dims.size() == 4, files.model, ": the input is ", input.shape().text(),
            "; expected N x C x H x W");
    images_ = std::make_unique<ImageInput>(preparation, Shape{dims[1], dims[2], dims[3]});
    input.reshape(input.shape().with(0, views_));
    net_->reshape();
    find_scores();
    net_->save_memory(Passes::forward, {scores_}, arena);
  }

  const std::string& model() const { return files_.model; }
  std::size_t classes() const {
    return static_cast<std::size_t>(net_->blob(scores_).count() / views_);
  }

  /// Throws: Error if the scores are not probabilities, since only these can be averaged.
  void require_probabilities() const {
    require(probabilities_, files_.model,
            ": has no Softmax layer, so there are no probabilities that could be averaged");
  }

  /// Returns the score of each class for the image `file`, averaged over the views.
  std::vector<double> scores(const std::string& file) {
    images_->read(file, net_->blob(net_->inputs()[0]).data.write_host());
    net_->forward();
    const Tensor& scores = net_->blob(scores_).data;
    const float* values = scores.read_host();
    std::vector<double> mean(classes(), 0);
    for (std::size_t i = 0; i < static_cast<std::size_t>(scores.count()); ++i)
      mean[i % mean.size()] += values[i] / static_cast<double>(views_);
    return mean;
  }

 private:
  /// Finds the blob of scores: the top of the last Softmax, else the only output.
  void find_scores() {
    for (const NetLayer& layer : net_->layers())
      if (layer.type == "Softmax") scores_ = layer.top_names[0];
    probabilities_ = !scores_.empty();
    if (probabilities_) return;
    require(net_->outputs().size() == 1, files_.model, ": has ", net_->outputs().size(),
            " outputs and no Softmax layer, so it is not clear which one scores the classes");
    scores_ = net_->outputs()[0];
  }

  Member files_;
  Index views_;
  std::unique_ptr<Net> net_;
  std::unique_ptr<ImageInput> images_;
  std::string scores_;  // name of a blob
  bool probabilities_ = false;
};

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

std::vector<double> mean_scores(std::vector<ImageNet>& nets, const std::string& image) {
  std::vector<double> mean(nets[0].classes(), 0);
  for (ImageNet& net : nets) {
    const std::vector<double> scores = net.scores(image);
    for (std::size_t c = 0; c < scores.size(); ++c)
      mean[c] += scores[c] / static_cast<double>(nets.size());
  }
  return mean;
}

/// Classifies all readable images and reports the others. Returns the number of unreadable images.
std::size_t classify(std::vector<ImageNet>& nets, const std::vector<std::string>& images,
                     const std::vector<std::string>& labels) {
  const Interruptible signals;
  std::size_t failed = 0;
  for (const std::string& image : images) {
    signals.check();
    try {
      print_best(image, mean_scores(nets, image), labels);
    } catch (const OutOfMemory&) {
      throw;
    } catch (const Error& e) {
      print_error(e);
      ++failed;
    }
  }
  return failed;
}

int run(const Arguments& given) {
  require_flag("model", "classify");
  require_flag("weights", "classify");
  const ImagePreparation preparation = preparation_of_flags();
  const std::vector<std::string> labels = read_labels();
  Context ctx = open_context();
  apply_flags(ctx);
  Overrides overrides(given.sets);
  const auto arena = std::make_shared<Arena>();
  std::vector<ImageNet> nets;
  for (const Member& files : members_of_flags())
    nets.emplace_back(ctx, files, overrides, preparation, arena);
  overrides.require_all_used();
  if (nets.size() > 1 || preparation.views > 1)
    for (const ImageNet& net : nets) net.require_probabilities();

  require_same_classes(nets, labels);

  const std::size_t images = given.operands.size();
  const std::size_t failed = classify(nets, given.operands, labels);
  require(failed == 0 || images == 1, failed, " of ", images, " images could not be classified");
  return failed == 0 ? kDone : kUserError;
}

}  // namespace

Command classify_command() {
  return {.name = "classify",
          .summary = "print the five most probable classes of images",
          .operands = "IMAGE...",
          .flags = {"model", "weights", "mean", "mean_value", "scale", "resize", "views", "labels",
                    "gpu", "level", "stage", "set", "no_fusion", "reference"},
          .example =
              "doppio classify --model=models/alexnet/deploy.prototxt \\\n"
              "    --weights=alexnet.caffemodel --mean=data/ilsvrc12/imagenet_mean.binaryproto "
              "\\\n"
              "    --labels=data/ilsvrc12/labels.txt cat.jpg",
          .run = run,
          .min_operands = 1,
          .max_operands = 1 << 20,
          .notes = kEnsembleHelp};
}

}  // namespace doppio
