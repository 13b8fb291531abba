// `doppio plan`: the memory that nets need, before any of it is allocated.
#include <iomanip>
#include <iostream>
#include <sstream>

#include "net/memory_plan.hpp"
#include "net/passes.hpp"
#include "tools/command.hpp"
#include "tools/flags.hpp"
#include "tools/setup.hpp"
#include "tools/table.hpp"

namespace doppio {

namespace {

std::string mib(Index bytes) {
  std::ostringstream s;
  s << std::fixed << std::setprecision(2) << static_cast<double>(bytes) / (1024.0 * 1024.0);
  return s.str();
}

/// Prints the table of a net and returns the total in bytes. `histories`: copies of the learned
/// parameters that the update rule keeps. `shared`: the parameters are another net's.
Index print_plan(const SourcedNet& source, const NetState& state, int histories, bool shared) {
  Context ctx;
  ctx.dry_run = true;
  const Net net(ctx, source, state);
  const bool train = state.phase() == TRAIN;
  const MemoryPlan plan = plan_memory(net);
  std::cout << Phase_Name(state.phase()) << " net, " << source.file << ", in MiB:\n";
  std::vector<std::string> head = {"layer", "type", "first top", "activations"};
  if (train) head.insert(head.end(), {"gradients"});
  if (!shared) head.insert(head.end(), {"parameters"});
  if (train) head.insert(head.end(), {"their gradients", "momentum"});
  Table table(head);
  table.numbers_from(3);
  const auto momentum = [&](const LayerMemory& m) { return m.parameters * histories; };
  const auto add = [&](const LayerMemory& m) {
    std::vector<std::string> row = {m.name, m.type, m.shape, mib(m.activations)};
    if (train) row.push_back(mib(m.gradients));
    if (!shared) row.push_back(mib(m.parameters));
    if (train) row.insert(row.end(), {mib(m.parameter_gradients), mib(momentum(m))});
    table.add(row);
  };
  for (const LayerMemory& layer : plan.layers) add(layer);
  LayerMemory total = plan.total;
  total.name = "total";
  add(total);
  std::cout << table.text() << '\n';
  Index bytes = total.activations + (shared ? 0 : total.parameters);
  if (train) bytes += total.gradients + total.parameter_gradients + momentum(total);
  return bytes;
}

int run(const Arguments& given) {
  if (FLAGS_model.empty()) throw UsageError("`doppio plan` needs --model");
  Overrides overrides(given.sets);
  struct Planned {
    SourcedNet net;
    NetState state;
  };
  std::vector<Planned> nets;
  for (const Phase phase : {TRAIN, TEST}) {
    const NetState state = state_of_flags(phase);
    const SourcedNet net = filter(read_model(overrides, state), state);
    if (net.net.layer_size() > 0) nets.push_back({net, state});
  }
  overrides.require_all_used();
  std::string sum;
  for (const Planned& p : nets)
    sum += str(sum.empty() ? "" : ", ", Phase_Name(p.state.phase()), " ",
               mib(print_plan(p.net, p.state, 1, false)), " MiB");
  std::cout << "total: " << sum << "; private buffers of the engines come on top\n";
  return kDone;
}

}  // namespace

Command plan_command() {
  return {
      .name = "plan",
      .summary = "show the memory that each layer of a net needs",
      .operands = "",
      .flags = {"model", "level", "stage", "set"},
      .example = "doppio plan --model=models/alexnet/train_val.prototxt --set data.batch_size=512",
      .run = run};
}

}  // namespace doppio
