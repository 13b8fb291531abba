// `doppio plan`: the memory that nets need, before any of it is allocated.
#include <iomanip>
#include <iostream>
#include <sstream>

#include "net/memory_plan.hpp"
#include "net/passes.hpp"
#include "solver/update_rule.hpp"
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

/// Writes the table of a net and returns the total in bytes. `histories`: copies of the learned
/// parameters that the update rule keeps. `shared`: the parameters are another net's.
Index print_plan(std::ostream& out, const SourcedNet& source, const NetState& state, int histories,
                 bool shared) {
  Context ctx;
  ctx.dry_run = true;
  const Net net(ctx, source, state);
  const bool train = state.phase() == TRAIN;
  const MemoryPlan plan = plan_memory(net);
  out << Phase_Name(state.phase()) << " net, " << source.file << ", in MiB:\n";
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
  out << table.text() << '\n';
  Index bytes = total.activations + (shared ? 0 : total.parameters);
  if (train) bytes += total.gradients + total.parameter_gradients + momentum(total);
  return bytes;
}

/// A net to plan, and whether its parameters are those of the net before it.
struct Planned {
  SolverNet net;
  bool shared;
};

/// The nets of --model, each for itself.
std::vector<Planned> nets_of_model(Overrides& overrides) {
  std::vector<Planned> nets;
  for (const Phase phase : {TRAIN, TEST}) {
    const NetState state = state_of_flags(phase);
    SourcedNet net = filter(read_model(overrides, state), state);
    if (net.net.layer_size() > 0) nets.push_back({{std::move(net), state}, false});
  }
  overrides.require_all_used();
  return nets;
}

/// The nets of --solver, whose test nets share the train net's parameters.
std::vector<Planned> nets_of_solver(SourcedSolver& solver, Overrides& overrides) {
  overrides.apply(solver.param, solver.fields);
  edit_nets(solver, overrides);
  return located(solver, [&] {
    std::vector<Planned> nets = {{train_net(solver), false}};
    for (SolverNet& net : test_nets(solver)) nets.push_back({std::move(net), true});
    return nets;
  });
}

int run(const Arguments& given) {
  if (FLAGS_model.empty() == FLAGS_solver.empty())
    throw UsageError("`doppio plan` needs --model or --solver, one of them");
  Overrides overrides(given.sets);
  std::vector<Planned> nets;
  int histories = 1;
  if (FLAGS_solver.empty()) {
    nets = nets_of_model(overrides);
  } else {
    SourcedSolver solver = read_solver(FLAGS_solver);
    nets = nets_of_solver(solver, overrides);
    histories = located(
        solver, [&] { return make_update_rule(solver.param, Device::cpu)->history_count(); });
  }
  Index total = 0;
  std::string sums;
  std::ostringstream tables;
  for (const Planned& p : nets) {
    const Index bytes = print_plan(tables, p.net.source, p.net.state, histories, p.shared);
    total += bytes;
    sums += str(sums.empty() ? "" : ", ", Phase_Name(p.net.state.phase()), " ", mib(bytes));
  }
  // Nets of a solver stand in memory together.
  std::cout << tables.str() << "total: " << sums;
  if (!FLAGS_solver.empty() && nets.size() > 1) std::cout << ", together " << mib(total);
  std::cout << " MiB; private buffers of the engines come on top\n";
  return kDone;
}

}  // namespace

Command plan_command() {
  return {
      .name = "plan",
      .summary = "show the memory that each layer needs, without allocating it",
      .operands = "",
      .flags = {"model", "solver", "level", "stage", "set"},
      .example = "doppio plan --solver=models/alexnet/solver.prototxt --set data.batch_size=512",
      .run = run};
}

}  // namespace doppio
