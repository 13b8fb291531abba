#include "tools/setup.hpp"

#include <glog/logging.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "io/comma_list.hpp"
#include "net/net_epoch.hpp"
#include "net/passes/passes.hpp"
#include "tools/flags.hpp"
#include "tools/table.hpp"

namespace doppio {

namespace {

constexpr const char* kWanted = ": expected numbers of GPUs, such as 0 or 0,1, or `all`";

const char* outcome_name(CopiedLayer::Outcome outcome) {
  switch (outcome) {
    case CopiedLayer::Outcome::loaded:
      return "loaded";
    case CopiedLayer::Outcome::fresh:
      return "new";
    case CopiedLayer::Outcome::skipped:
      return "skipped";
    case CopiedLayer::Outcome::mismatched:
      return "mismatched";
  }
  return "?";
}

}  // namespace

std::vector<int> gpu_numbers() {
  std::vector<int> ids;
  if (FLAGS_gpu == "all") {
    for (const AcceleratorInfo& gpu : list_accelerators()) ids.push_back(gpu.id);
    if (ids.empty()) ids.push_back(0);  // open_accelerator() reports why there is none
    return ids;
  }
  for (const std::string& text : comma_list(FLAGS_gpu)) {
    int id = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (error != std::errc() || end != text.data() + text.size() || id < 0)
      throw UsageError("--gpu=" + FLAGS_gpu + kWanted);
    if (std::find(ids.begin(), ids.end(), id) != ids.end())
      throw UsageError(str("--gpu=", FLAGS_gpu, ": GPU ", text, " is named twice"));
    ids.push_back(id);
  }
  if (ids.empty()) throw UsageError("--gpu=" + FLAGS_gpu + kWanted);
  return ids;
}

std::vector<std::unique_ptr<Context>> open_gpus() {
  // CUDA loads a kernel at its first launch, which may wait for running kernels. An NCCL kernel
  // runs until the other GPUs reach it, so that lazy loading could deadlock. CUDA reads the
  // variable at its first call.
  if (FLAGS_gpu == "all" || comma_list(FLAGS_gpu).size() > 1)
    setenv("CUDA_MODULE_LOADING", "EAGER", 0);  // keeps a value set by the user
  std::vector<std::unique_ptr<Context>> contexts;
  for (const int id : gpu_numbers())
    contexts.push_back(std::make_unique<Context>(open_accelerator(id)));
  return contexts;
}

Context open_context() {
  if (FLAGS_gpu.empty()) return Context();
  const std::vector<int> ids = gpu_numbers();
  if (ids.size() > 1)
    throw UsageError("--gpu=" + FLAGS_gpu + ": only `train` uses several GPUs; name one");
  return Context(open_accelerator(ids[0]));
}

void apply_flags(Context& ctx) {
  ctx.fusion = !FLAGS_no_fusion;
  ctx.reference = FLAGS_reference;
}

NetState state_of_flags(Phase phase) {
  NetState state;
  state.set_phase(phase);
  state.set_level(FLAGS_level);
  for (const std::string& stage : comma_list(FLAGS_stage)) state.add_stage(stage);
  return state;
}

std::vector<Phase> phases_of_flag() {
  if (FLAGS_phase.empty()) return {TRAIN, TEST};
  Phase phase = TRAIN;
  if (!Phase_Parse(FLAGS_phase, &phase))
    throw UsageError("--phase=" + FLAGS_phase + ": expected TRAIN or TEST" +
                     did_you_mean(FLAGS_phase, {"TRAIN", "TEST"}));
  return {phase};
}

SourcedNet read_model(Overrides& overrides, const NetState& state, const std::string& file) {
  return overrides.apply(read_prototxt(file), state);
}

SourcedNet read_model(Overrides& overrides, const NetState& state) {
  return read_model(overrides, state, FLAGS_model);
}

void edit_nets(SourcedSolver& solver, Overrides& overrides) {
  solver.edit = [&](SourcedNet net, const NetState& state) {
    return overrides.apply(std::move(net), state);
  };
  if (overrides.empty()) return;
  with_context(solver_context(solver), [&] {
    train_net(solver);
    test_nets(solver);
  });
  overrides.require_all_used();
}

void note_repeated_images(Net& net, Index batches) {
  const std::optional<Epoch> epoch = epoch_of(net, false);
  const std::string repeated = epoch ? repeated_records(*epoch, batches) : "";
  LOG_IF(WARNING, !repeated.empty())
      << "--iterations=" << batches << " x batch " << epoch->batch << ": " << repeated;
}

void load_weights(Net& net, const std::vector<std::string>& files) {
  for (const std::string& file : files) {
    const std::vector<CopiedLayer> copied = net.copy_weights(file);
    require_no_mismatch(copied, file);
    log_copied_layers(net, copied, file);
  }
}

void log_copied_layers(Net& net, const std::vector<CopiedLayer>& copied, const std::string& file) {
  Table table({"layer", "weights", "shapes"});
  bool all_loaded = true, any_loaded = false;
  for (const CopiedLayer& layer : copied) {
    table.add({layer.name, outcome_name(layer.outcome), layer.detail});
    all_loaded = all_loaded && layer.outcome == CopiedLayer::Outcome::loaded;
    any_loaded = any_loaded || layer.outcome == CopiedLayer::Outcome::loaded;
  }
  if (all_loaded && !FLAGS_verbose)
    LOG(INFO) << "Copied the weights of " << copied.size() << " layers from " << file;
  else
    (all_loaded ? LOG(INFO) : LOG(WARNING)) << "weights of " << file << ":\n" << table.text();
  require(any_loaded || net.parameters().empty(), file,
          " has weights for no layer of the net; layers are matched by name");
}

}  // namespace doppio
