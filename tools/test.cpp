// `doppio test`: runs a net with given weights and averages its outputs.
#include <glog/logging.h>

#include <iostream>

#include "tools/accuracy.hpp"
#include "tools/command.hpp"
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

/// Runs one batch and adds it to `outputs`; returns its loss.
float run_batch(Net& net, int batch, std::vector<Output>& outputs) {
  const float loss = net.forward();
  std::size_t element = 0;
  for (const std::string& name : net.outputs()) {
    const Tensor& output = net.blob(name).data;
    const float* values = output.read_host();
    for (Index i = 0; i < output.count(); ++i, ++element) {
      if (element == outputs.size()) outputs.push_back({name, net.loss_weight(name)});
      outputs[element].sum += values[i];
      LOG(INFO) << "Batch " << batch << ", " << name << " = " << values[i];
    }
  }
  return loss;
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

int run(const Arguments& given) {
  require_flag("model", "test");
  require_flag("weights", "test");
  if (FLAGS_iterations < 1) throw UsageError("--iterations must be at least 1");
  Context ctx = open_context();
  ctx.fusion = !FLAGS_no_fusion;
  Overrides overrides(given.sets);
  const NetState state = state_of_flags(TEST);
  SourcedNet source = read_model(overrides, state);
  overrides.require_all_used();
  const NetParameter param = source.net;
  Net net(ctx, std::move(source), state);
  load_weights(net, comma_list(FLAGS_weights));

  const std::optional<Classifier> classifier = find_classifier(net, param);
  net.save_memory(Passes::forward, classifier ? names_of(net, *classifier) : Names());
  LOG(INFO) << "Running for " << FLAGS_iterations << " iterations.";
  TopCounts counts;
  std::vector<Output> outputs;
  double loss = 0;
  for (int i = 0; i < FLAGS_iterations; ++i) {
    loss += run_batch(net, i, outputs);
    if (classifier) counts.add(*classifier);
  }
  LOG(INFO) << "Loss: " << loss / FLAGS_iterations;
  for (const Output& output : outputs) {
    const double mean = output.sum / FLAGS_iterations;
    std::string as_loss;
    if (output.loss_weight != 0)
      as_loss = str(" (* ", output.loss_weight, " = ", output.loss_weight * mean, " loss)");
    LOG(INFO) << output.name << " = " << mean << as_loss;
  }
  if (classifier) std::cout << counts.summary() << '\n';
  return kDone;
}

}  // namespace

Command test_command() {
  return {.name = "test",
          .summary = "run a net with given weights: mean outputs, top-1 and top-5 accuracy",
          .operands = "",
          .flags = {"model", "weights", "iterations", "gpu", "level", "stage", "set", "no_fusion"},
          .example =
              "doppio test --model=models/lenet/train_val.prototxt \\\n"
              "    --weights=models/lenet/lenet_iter_10000.caffemodel --iterations=100",
          .run = run};
}

}  // namespace doppio
