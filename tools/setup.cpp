#include "tools/setup.hpp"

#include <glog/logging.h>

#include <charconv>

#include "net/passes.hpp"
#include "tools/flags.hpp"
#include "tools/table.hpp"

namespace doppio {

namespace {

/// The GPU that --gpu names.
int gpu_number() {
  std::vector<std::string> ids = comma_list(FLAGS_gpu);
  if (FLAGS_gpu == "all") {
    ids.clear();
    for (const AcceleratorInfo& gpu : list_accelerators()) ids.push_back(std::to_string(gpu.id));
    if (ids.empty()) return 0;  // opening it tells why there is none
  }
  if (ids.size() > 1)
    throw UsageError("--gpu=" + FLAGS_gpu + ": only one GPU can be used at a time; name one");
  int id = -1;
  const std::string text = ids.empty() ? "" : ids[0];
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size() || id < 0)
    throw UsageError("--gpu=" + FLAGS_gpu + ": the number of a GPU is wanted, or `all`");
  return id;
}

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

Context open_context() {
  if (FLAGS_gpu.empty()) return Context();
  return Context(open_accelerator(gpu_number()));
}

NetState state_of_flags(Phase phase) {
  NetState state;
  state.set_phase(phase);
  state.set_level(FLAGS_level);
  for (const std::string& stage : comma_list(FLAGS_stage)) state.add_stage(stage);
  return state;
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
  located(solver, [&] {
    train_net(solver);
    test_nets(solver);
  });
  overrides.require_all_used();
}

void load_weights(Net& net, const std::vector<std::string>& files) {
  for (const std::string& file : files) {
    const std::vector<CopiedLayer> copied = net.copy_weights(file);
    Table table({"layer", "weights", "shapes"});
    bool all_loaded = true, any_loaded = false;
    for (const CopiedLayer& layer : copied) {
      table.add({layer.name, outcome_name(layer.outcome), layer.detail});
      all_loaded = all_loaded && layer.outcome == CopiedLayer::Outcome::loaded;
      any_loaded = any_loaded || layer.outcome == CopiedLayer::Outcome::loaded;
    }
    require_no_mismatch(copied, file);
    (all_loaded ? LOG(INFO) : LOG(WARNING)) << "weights of " << file << ":\n" << table.text();
    require(any_loaded || net.parameters().empty(), file,
            " has weights for no layer of the net; layers are matched by name");
  }
}

}  // namespace doppio
