// `doppio test`: runs a net with given weights and averages its outputs. For several nets, averages
// their probabilities.
#include <glog/logging.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <optional>

#include "core/arena.hpp"
#include "net/net_epoch.hpp"
#include "solver/average_precision.hpp"
#include "tools/accuracy.hpp"
#include "tools/command.hpp"
#include "tools/ensemble.hpp"
#include "tools/flags.hpp"
#include "tools/interrupt.hpp"
#include "tools/project/project_folder.hpp"
#include "tools/setup.hpp"

namespace doppio {

namespace {

/// A mean over images, computed from the means of batches.
struct Mean {
  double sum = 0, images = 0;

  void add(double value, double batch) {
    sum += value * batch;
    images += batch;
  }
  double value() const { return sum / images; }
};

/// One element of an output blob.
struct Output {
  std::string name;
  float loss_weight;
  Mean mean = {};
};

/// The batches of a test.
struct Plan {
  std::optional<Epoch> epoch = {};  ///< of the data, if its end is known
  Index batches = 0;
  bool cut = false;  ///< the last batch has only the remaining records of the epoch

  Index images(Index batch) const {
    if (!epoch) return 1;  // all batches have the same weight
    return cut && batch + 1 == batches ? epoch->last_batch() : epoch->batch;
  }
};

/// A net under test and its accumulated results.
struct NetUnderTest {
  Member files;
  std::unique_ptr<Net> net;
  std::optional<Classifier> classifier;
  TopCounts counts;
  std::vector<Output> outputs;
  std::map<std::string, DetectionScores> detections;  // of DetectionEvaluate layers
  Mean loss;
};

bool evaluates_detections(const Net& net, const std::string& output) {
  return std::any_of(net.layers().begin(), net.layers().end(), [&](const NetLayer& l) {
    return l.type == "DetectionEvaluate" && l.top_names[0] == output;
  });
}

/// Runs batch number `batch`, of `images` images, and adds up its results. `log`: logs outputs.
void run_batch(NetUnderTest& tested, Index batch, Index images, bool log) {
  Net& net = *tested.net;
  const auto weight = static_cast<double>(images);
  tested.loss.add(net.forward(), weight);
  std::size_t element = 0;
  for (const std::string& name : net.outputs()) {
    const Tensor& output = net.blob(name).data;
    if (evaluates_detections(net, name)) {
      tested.detections[name].add(output);
      continue;
    }
    const float* values = output.read_host();
    for (Index i = 0; i < output.count(); ++i, ++element) {
      if (element == tested.outputs.size()) tested.outputs.push_back({name, net.loss_weight(name)});
      tested.outputs[element].mean.add(values[i], weight);
      LOG_IF(INFO, log) << "Batch " << batch << ", " << name << " = " << values[i];
    }
  }
  if (tested.classifier) tested.counts.add(*tested.classifier);
}

using Names = std::vector<std::string>;

/// Returns the names of the blobs that are read after each pass.
Names names_of(Net& net, const Classifier& classifier) {
  Names names;
  for (const std::string& name : net.blob_names())
    for (const Blob* read : {classifier.scores, classifier.labels})
      if (read == &net.blob(name)) names.push_back(name);
  return names;
}

/// Sets the number of views of all data layers to FLAGS_views.
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

NetUnderTest open(Context& ctx, const Member& files, Overrides& overrides) {
  NetUnderTest tested;
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
  return tested;
}

/// Returns the number of batches in --iterations or, without that flag, in one epoch of the data.
Plan plan_of(const std::vector<NetUnderTest>& nets) {
  Plan plan{.batches = FLAGS_iterations};
  if (is_given("iterations")) return plan;
  plan.epoch = epoch_of(*nets[0].net, true);
  if (!plan.epoch) return plan;
  const Epoch& epoch = *plan.epoch;
  plan.batches = epoch.batches();
  std::string refusal;
  if (epoch.last_batch() < epoch.batch)
    for (const NetUnderTest& tested : nets)
      if (refusal.empty()) refusal = refuses_last_batch(*tested.net, epoch);
  plan.cut = refusal.empty();
  LOG(INFO) << "Testing on all " << epoch.records << " images, once.";
  LOG_IF(WARNING, !plan.cut) << "The last batch is filled with the first "
                             << epoch.batch - epoch.last_batch()
                             << " images, which count twice, because the net cannot run on "
                             << epoch.last_batch() << " of " << epoch.batch << ": " << refusal;
  return plan;
}

/// `arena` holds the blobs of all nets, which never run at the same time.
void save_memory(NetUnderTest& tested, const std::shared_ptr<Arena>& arena) {
  const Names read = tested.classifier ? names_of(*tested.net, *tested.classifier) : Names();
  tested.net->save_memory(Passes::forward, read, arena);
}

/// Logs and prints the average precisions of DetectionEvaluate layers.
void report_detections(const NetUnderTest& tested) {
  for (const auto& [output, scores] : tested.detections) {
    const auto precisions = scores.average_precisions(SolverParameter().ap_version());
    double sum = 0;
    for (const auto& [label, precision] : precisions) {
      LOG(INFO) << "class" << label << ": " << precision;
      sum += precision;
    }
    const std::size_t classes = precisions.size();
    std::cout << output << ": mean average precision "
              << sum / static_cast<double>(std::max<std::size_t>(1, classes)) << " of " << classes
              << " classes\n";
  }
}

/// Logs Caffe's lines and prints the error rates.
void report(const NetUnderTest& tested, bool name) {
  LOG_IF(INFO, name) << tested.files.weights << ":";
  LOG(INFO) << "Loss: " << tested.loss.value();
  for (const Output& output : tested.outputs) {
    const double mean = output.mean.value();
    std::string as_loss;
    if (output.loss_weight != 0)
      as_loss = str(" (* ", output.loss_weight, " = ", output.loss_weight * mean, " loss)");
    LOG(INFO) << output.name << " = " << mean << as_loss;
  }
  report_detections(tested);
  if (!tested.classifier) return;
  if (name) std::cout << tested.files.weights << ": ";
  std::cout << tested.counts.summary() << '\n';
}

int run(const Arguments& given) {
  use_project_folder("train_val.prototxt");
  require_flag("model", "test");
  require_flag("weights", "test");
  if (FLAGS_iterations < 1) throw UsageError("--iterations must be at least 1");
  Context ctx = open_context();
  apply_flags(ctx);
  Overrides overrides(given.sets);
  std::vector<NetUnderTest> nets;
  for (const Member& files : members_of_flags()) nets.push_back(open(ctx, files, overrides));
  overrides.require_all_used();
  const bool several = nets.size() > 1;
  for (const NetUnderTest& net : nets)
    require(!several || net.classifier, net.files.model,
            ": has no scores that could be averaged; SoftmaxWithLoss, Accuracy and Softmax layers "
            "have some");

  const Plan plan = plan_of(nets);
  const auto arena = std::make_shared<Arena>();
  for (NetUnderTest& net : nets) save_memory(net, arena);
  LOG(INFO) << "Running for " << plan.batches << " iterations.";
  MeanProbabilities mean;
  TopCounts counts;
  const Interruptible signals;
  for (Index i = 0; i < plan.batches; ++i) {
    signals.check();
    for (NetUnderTest& net : nets) {
      if (plan.epoch) show_first(*net.net, plan.images(i));
      run_batch(net, i, plan.images(i), !several);
      if (several) mean.add(*net.classifier, net.files.model);
    }
    if (several) counts.add(mean.take());
  }
  for (const NetUnderTest& net : nets) report(net, several);
  if (is_given("iterations")) note_repeated_images(*nets[0].net, plan.batches);
  if (several) std::cout << "mean of " << nets.size() << " nets: " << counts.summary() << '\n';
  return kDone;
}

}  // namespace

Command test_command() {
  return {
      .name = "test",
      .summary = "run a net with given weights: mean outputs, top-1 and top-5 error",
      .operands = "",
      .flags =
          {{"model=FILES",
            "net prototxt, or one for each file of --weights, separated by commas; or a folder "
            "that `doppio new` made, for the newest weights in it"},
           {"weights=FILES",
            "weights of the net (.caffemodel or .caffemodel.h5); several files, separated by "
            "commas, are tested as an ensemble"},
           {"iterations=N",
            "batches to test (default: each image of the set once, or 50 batches if the size "
            "of the set is unknown)"},
           {"views=N",
            "average the probabilities of N views of each image: 10 (corners, center and "
            "their mirror images), 5 (no mirror images), 2 (center and its mirror image) or 1 "
            "(default: as the prototxt says)"},
           {"gpu=ID", "number of the GPU to test on, such as 0 (default: the CPU)"},
           {"set=FIELD=VALUE", "change a field of the net for this test: `doppio help set`"},
           {"level=N", "level of the net, for its include and exclude rules"},
           {"stage=NAMES", "stages of the net, for the same rules, separated by commas"},
           {"no_fusion", "run every layer separately, without fusing it with the next ones"},
           {"reference", "test with the slow reference implementations, to check the fast ones"}},
      .example =
          "doppio test --model=models/lenet/train_val.prototxt \\\n"
          "    --weights=models/lenet/lenet_iter_10000.caffemodel",
      .run = run,
      .notes = kEnsembleHelp};
}

}  // namespace doppio
