// `doppio test`: runs a net with given weights and averages its outputs; of several nets, the
// probabilities.
#include <glog/logging.h>

#include <algorithm>
#include <iostream>
#include <memory>

#include "core/arena.hpp"
#include "tools/accuracy.hpp"
#include "tools/command.hpp"
#include "tools/ensemble.hpp"
#include "tools/flags.hpp"
#include "tools/setup.hpp"

namespace doppio {

namespace {

/// One element of an output blob, summed over the batches.
struct Output {
  std::string name;
  float loss_weight;
  double sum = 0;
};

/// A net under test, and what it has given so far.
struct Tested {
  Member files;
  std::unique_ptr<Net> net;
  std::optional<Classifier> classifier;
  TopCounts counts;
  std::vector<Output> outputs;
  double loss = 0;
};

/// Runs one batch and adds it up; logs each output if asked.
void run_batch(Tested& tested, int batch, bool log) {
  Net& net = *tested.net;
  tested.loss += net.forward();
  std::size_t element = 0;
  for (const std::string& name : net.outputs()) {
    const Tensor& output = net.blob(name).data;
    const float* values = output.read_host();
    for (Index i = 0; i < output.count(); ++i, ++element) {
      if (element == tested.outputs.size()) tested.outputs.push_back({name, net.loss_weight(name)});
      tested.outputs[element].sum += values[i];
      LOG_IF(INFO, log) << "Batch " << batch << ", " << name << " = " << values[i];
    }
  }
  if (tested.classifier) tested.counts.add(*tested.classifier);
}

using Names = std::vector<std::string>;

/// The blobs that are read after each pass.
Names names_of(Net& net, const Classifier& classifier) {
  Names names;
  for (const std::string& name : net.blob_names())
    for (const Blob* read : {classifier.scores, classifier.labels})
      if (read == &net.blob(name)) names.push_back(name);
  return names;
}

/// Makes the data layers give FLAGS_views views of each image.
void set_views(SourcedNet& source, const std::string& file) {
  if (FLAGS_views < 0) throw UsageError("--views must not be negative");
  if (FLAGS_views == 0) return;
  bool found = false;
  for (LayerParameter& layer : *source.net.mutable_layer()) {
    if (layer.type() != "Data" && layer.type() != "ImageData") continue;
    layer.mutable_transform_param()->set_views(static_cast<std::uint32_t>(FLAGS_views));
    found = true;
  }
  require(found, "--views=", FLAGS_views, ": ", file,
          " has no Data or ImageData layer, which could take several views of an image");
}

bool has_views(const NetParameter& net) {
  return std::any_of(net.layer().begin(), net.layer().end(), [](const LayerParameter& layer) {
    return layer.transform_param().views() > 1;
  });
}

bool averages_views(Net& net) {
  return std::any_of(net.layers().begin(), net.layers().end(),
                     [](const NetLayer& layer) { return layer.type == "AverageViews"; });
}

/// `arena` is for the blobs of all nets: they never run at the same time.
Tested open(Context& ctx, const Member& files, Overrides& overrides,
            const std::shared_ptr<Arena>& arena) {
  Tested tested;
  tested.files = files;
  const NetState state = state_of_flags(TEST);
  SourcedNet source = read_model(overrides, state, files.model);
  set_views(source, files.model);
  const NetParameter param = source.net;
  tested.net = std::make_unique<Net>(ctx, std::move(source), state);
  Net& net = *tested.net;
  load_weights(net, {files.weights});
  tested.classifier = find_classifier(net, param);
  require(!tested.classifier || !has_views(param) || averages_views(net), files.model,
          ": no layer compares the average over the views with the labels; add an Accuracy layer, "
          "or leave --views (and views in the prototxt) out");
  net.save_memory(Passes::forward, tested.classifier ? names_of(net, *tested.classifier) : Names(),
                  arena);
  return tested;
}

/// Logs Caffe's lines and prints how often the net was right.
void report(const Tested& tested, bool name) {
  LOG_IF(INFO, name) << tested.files.weights << ":";
  LOG(INFO) << "Loss: " << tested.loss / FLAGS_iterations;
  for (const Output& output : tested.outputs) {
    const double mean = output.sum / FLAGS_iterations;
    std::string as_loss;
    if (output.loss_weight != 0)
      as_loss = str(" (* ", output.loss_weight, " = ", output.loss_weight * mean, " loss)");
    LOG(INFO) << output.name << " = " << mean << as_loss;
  }
  if (!tested.classifier) return;
  if (name) std::cout << tested.files.weights << ": ";
  std::cout << tested.counts.summary() << '\n';
}

int run(const Arguments& given) {
  require_flag("model", "test");
  require_flag("weights", "test");
  if (FLAGS_iterations < 1) throw UsageError("--iterations must be at least 1");
  Context ctx = open_context();
  apply_flags(ctx);
  Overrides overrides(given.sets);
  const auto arena = std::make_shared<Arena>();
  std::vector<Tested> nets;
  for (const Member& files : members_of_flags()) nets.push_back(open(ctx, files, overrides, arena));
  overrides.require_all_used();
  const bool several = nets.size() > 1;
  for (const Tested& net : nets)
    require(!several || net.classifier, net.files.model,
            ": has no scores that could be averaged; SoftmaxWithLoss, Accuracy and Softmax layers "
            "have some");

  LOG(INFO) << "Running for " << FLAGS_iterations << " iterations.";
  MeanProbabilities mean;
  TopCounts counts;
  for (int i = 0; i < FLAGS_iterations; ++i) {
    for (Tested& net : nets) {
      run_batch(net, i, !several);
      if (several) mean.add(*net.classifier, net.files.model);
    }
    if (several) counts.add(mean.take());
  }
  for (const Tested& net : nets) report(net, several);
  if (several) std::cout << "mean of " << nets.size() << " nets: " << counts.summary() << '\n';
  return kDone;
}

}  // namespace

Command test_command() {
  return {.name = "test",
          .summary = "run a net with given weights: mean outputs, top-1 and top-5 error",
          .operands = "",
          .flags = {"model", "weights", "iterations", "views", "gpu", "level", "stage", "set",
                    "no_fusion", "reference"},
          .example =
              "doppio test --model=models/lenet/train_val.prototxt \\\n"
              "    --weights=models/lenet/lenet_iter_10000.caffemodel --iterations=100",
          .run = run,
          .notes = kEnsembleHelp};
}

}  // namespace doppio
