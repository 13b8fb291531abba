// `doppio classify`: the most probable classes of images.
#include <gflags/gflags.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <numeric>

#include "tools/command.hpp"
#include "tools/flags.hpp"
#include "tools/image_input.hpp"
#include "tools/setup.hpp"

DEFINE_string(mean, "", "mean image to subtract (.binaryproto), of the size before the crop");
DEFINE_string(mean_value, "", "values to subtract: one, or one per channel (B,G,R)");
DEFINE_double(scale, 1, "factor on the values after the mean is subtracted");
DEFINE_int32(resize, 0,
             "height and width before the central crop; 0: the mean image's or, without one, the "
             "input's");

namespace doppio {

namespace {

constexpr std::size_t kShown = 5;

std::vector<float> numbers(const std::string& flag, const std::string& text) {
  std::vector<float> values;
  for (const std::string& item : comma_list(text)) try {
      std::size_t used = 0;
      values.push_back(std::stof(item, &used));
      if (used != item.size()) throw std::invalid_argument(item);
    } catch (const std::logic_error&) {
      throw UsageError("--" + flag + "=" + text + ": '" + item + "' is no number");
    }
  return values;
}

std::vector<std::string> read_labels() {
  std::vector<std::string> labels;
  if (FLAGS_labels.empty()) return labels;
  std::ifstream in(FLAGS_labels);
  require(in.good(), "cannot open --labels=", FLAGS_labels);
  for (std::string line; std::getline(in, line);) labels.push_back(line);
  return labels;
}

/// The blob of scores: the top of the last Softmax, else the only output.
std::string scores_of(Net& net) {
  for (auto l = net.layers().rbegin(); l != net.layers().rend(); ++l)
    if (l->type == "Softmax") return l->top_names[0];
  require(net.outputs().size() == 1, FLAGS_model, ": has ", net.outputs().size(),
          " outputs and no Softmax layer, so it is not clear which one scores the classes");
  return net.outputs()[0];
}

void print_best(const std::string& image, const float* scores, std::size_t classes,
                const std::vector<std::string>& labels) {
  std::vector<std::size_t> order(classes);
  std::iota(order.begin(), order.end(), std::size_t{0});
  const std::size_t shown = std::min(kShown, classes);
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(shown), order.end(),
                    [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  std::printf("---------- Prediction for %s ----------\n", image.c_str());
  for (std::size_t i = 0; i < shown; ++i) {
    const std::size_t c = order[i];
    const std::string name = labels.empty() ? std::to_string(c) : labels[c];
    std::printf("%.4f - \"%s\"\n", static_cast<double>(scores[c]), name.c_str());
  }
}

int run(const Arguments& given) {
  require_flag("model", "classify");
  require_flag("weights", "classify");
  ImagePreparation preparation;
  preparation.mean_file = FLAGS_mean;
  preparation.mean_value = numbers("mean_value", FLAGS_mean_value);
  preparation.scale = static_cast<float>(FLAGS_scale);
  preparation.resize = FLAGS_resize;
  const std::vector<std::string> labels = read_labels();

  Context ctx = open_context();
  ctx.fusion = !FLAGS_no_fusion;
  Overrides overrides(given.sets);
  const NetState state = state_of_flags(TEST);
  SourcedNet source = read_model(overrides, state);
  overrides.require_all_used();
  Net net(ctx, std::move(source), state);
  require(net.inputs().size() == 1, FLAGS_model, ": one Input layer with one top is wanted, for ",
          "the image; use the deploy.prototxt of the model");
  load_weights(net, comma_list(FLAGS_weights));
  Blob& input = net.blob(net.inputs()[0]);
  const std::vector<Index>& dims = input.shape().dims();
  require(dims.size() == 4, FLAGS_model, ": the input is ", input.shape().text(),
          "; N x C x H x W is wanted");
  ImageInput images(preparation, Shape{dims[1], dims[2], dims[3]});
  input.reshape(input.shape().with(0, 1));
  net.reshape();
  const std::string scores_name = scores_of(net);
  net.save_memory(Passes::forward, {scores_name});

  for (const std::string& image : given.operands) {
    images.read(image, input.data.write_host());
    net.forward();
    const Tensor& scores = net.blob(scores_name).data;
    const auto classes = static_cast<std::size_t>(scores.count());
    require(labels.empty() || labels.size() == classes, FLAGS_labels, ": has ", labels.size(),
            " lines and the net ", classes, " classes");
    print_best(image, scores.read_host(), classes, labels);
  }
  return kDone;
}

}  // namespace

Command classify_command() {
  return {.name = "classify",
          .summary = "print the five most probable classes of images",
          .operands = "IMAGE...",
          .flags = {"model", "weights", "mean", "mean_value", "scale", "resize", "labels", "gpu",
                    "level", "stage", "set", "no_fusion"},
          .example =
              "doppio classify --model=models/alexnet/deploy.prototxt \\\n"
              "    --weights=alexnet.caffemodel --mean=data/ilsvrc12/imagenet_mean.binaryproto "
              "\\\n"
              "    --labels=data/ilsvrc12/labels.txt cat.jpg",
          .run = run,
          .min_operands = 1,
          .max_operands = 1 << 20};
}

}  // namespace doppio
