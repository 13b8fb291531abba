// `doppio plan`: prints the memory that nets need, without allocating it.
#include <glog/logging.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <optional>
#include <sstream>

#include "net/passes/memory_plan.hpp"
#include "net/passes/passes.hpp"
#include "solver/rules/update_rule.hpp"
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

/// Returns the memory of this process, which is about the same for other commands.
Index resident_bytes() {
  std::ifstream status("/proc/self/statm");
  Index pages = 0, resident = 0;
  status >> pages >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

/// A net to plan, and whether it shares the parameters of the previous net.
struct Planned {
  SolverNet net;
  bool shared;
};

/// Peak memory in bytes.
struct Peak {
  Index parameters = 0, gradients = 0, histories = 0;
  Index blobs = 0, apart = 0;  // of blobs with and without shared memory
  Index lasting = 0, held = 0, workspace = 0;

  void add(const MemoryPlan& plan, bool train, int history_count, bool shares_parameters) {
    if (!shares_parameters) parameters += plan.total.parameters;
    if (train) gradients += plan.total.parameter_gradients;
    if (train) histories += plan.total.parameters * history_count;
    apart += plan.total.activations + (train ? plan.total.gradients : 0);
    blobs = std::max(blobs, plan.shared);  // the nets of a solver never run at the same time
    lasting += plan.lasting;
    held += plan.held;
    workspace = std::max(workspace, plan.workspace);
  }

  std::string text(const std::string& title) const {
    const Index program = resident_bytes();
    Table table({title, "MiB", ""});
    table.numbers_from(1);
    const auto row = [&](const char* what, Index bytes) { table.add({what, mib(bytes), ""}); };
    row("parameters", parameters);
    row("their gradients", gradients);
    row("momentum", histories);
    row("blobs, taking turns", blobs);
    row("data and outputs", lasting);
    row("layers' own buffers", held);
    row("workspace", workspace);
    row("the program itself", program);
    row("peak", parameters + gradients + histories + blobs + lasting + held + workspace + program);
    return table.text();
  }
};

/// Prints the table of a net's layers. `histories` is the number of history tensors that the update
/// rule keeps per parameter.
MemoryPlan print_layers(std::ostream& out, const Planned& planned, int histories) {
  const NetState& state = planned.net.state;
  Context ctx;
  ctx.dry_run = true;
  apply_flags(ctx);
  Net net(ctx, planned.net.source, state);
  const bool train = state.phase() == TRAIN, shared = planned.shared;
  const Passes passes = train ? Passes::forward_and_backward : Passes::forward;
  if (!shared) net.save_memory(passes);
  MemoryPlan plan = plan_memory(net, passes);
  out << Phase_Name(state.phase()) << " net, " << planned.net.source.file << ", in MiB:\n";
  std::vector<std::string> head = {"layer", "type", "first top", "activations"};
  if (train) head.insert(head.end(), {"gradients"});
  if (!shared) head.insert(head.end(), {"parameters"});
  if (train) head.insert(head.end(), {"their gradients", "momentum"});
  Table table(head);
  table.numbers_from(3);
  const auto add = [&](const LayerMemory& m) {
    std::vector<std::string> row = {m.name, m.type, m.shape, mib(m.activations)};
    if (train) row.push_back(mib(m.gradients));
    if (!shared) row.push_back(mib(m.parameters));
    if (train) row.insert(row.end(), {mib(m.parameter_gradients), mib(m.parameters * histories)});
    table.add(row);
  };
  for (const LayerMemory& layer : plan.layers) add(layer);
  LayerMemory total = plan.total;
  total.name = "total";
  add(total);
  out << table.text() << '\n';
  return plan;
}

/// Returns the nets of --model, which are planned separately.
std::vector<Planned> nets_of_model(Overrides& overrides) {
  std::vector<Planned> nets;
  for (const Phase phase : phases_of_flag()) {
    const NetState state = state_of_flags(phase);
    SourcedNet net = filter(read_model(overrides, state), state);
    if (net.net.layer_size() > 0) nets.push_back({{std::move(net), state}, false});
  }
  overrides.require_all_used();
  if (nets.empty())
    throw Error("no layer is left in the net for " +
                    (FLAGS_phase.empty() ? "any phase" : "phase " + FLAGS_phase),
                {FLAGS_model, 0, 0});
  return nets;
}

/// Returns the nets of --solver. The test nets share the train net's parameters.
std::vector<Planned> nets_of_solver(SourcedSolver& solver, Overrides& overrides) {
  overrides.apply(solver.param, solver.fields);
  edit_nets(solver, overrides);
  return with_context(solver_context(solver), [&] {
    std::vector<Planned> nets = {{train_net(solver), false}};
    for (SolverNet& net : test_nets(solver)) nets.push_back({std::move(net), true});
    return nets;
  });
}

int run(const Arguments& given) {
  if (FLAGS_model.empty() == FLAGS_solver.empty())
    throw UsageError("`doppio plan` needs --model or --solver, one of them");
  if (!FLAGS_phase.empty() && FLAGS_model.empty())
    throw UsageError("--phase goes with --model; a solver has nets of both phases");
  Overrides overrides(given.sets);
  std::vector<Planned> nets;
  int histories = 1;
  if (FLAGS_solver.empty()) {
    nets = nets_of_model(overrides);
  } else {
    SourcedSolver solver = read_solver(FLAGS_solver);
    nets = nets_of_solver(solver, overrides);
    histories = with_context(solver_context(solver), [&] {
      return make_update_rule(solver.param, Device::cpu)->history_count();
    });
  }
  std::ostringstream tables, peaks;
  Peak together;
  std::optional<PhaseError> absent;
  for (const Planned& p : nets) {
    const std::string phase = Phase_Name(p.net.state.phase());
    MemoryPlan plan;
    try {
      plan = print_layers(tables, p, histories);
    } catch (const PhaseError& e) {
      if (absent) throw *absent;
      if (nets.size() == 1 || !FLAGS_solver.empty()) throw;
      absent = e;
      LOG(INFO) << "There is no " << phase << " net: " << e.what();
      continue;
    }
    const bool train = p.net.state.phase() == TRAIN;
    Peak single;
    single.add(plan, train, 0, p.shared);  // `doppio time` has no history tensors
    together.add(plan, train, histories, p.shared);
    if (FLAGS_solver.empty()) peaks << single.text(phase + " net");
  }
  if (!FLAGS_solver.empty()) peaks << together.text("training");
  std::cout << tables.str() << peaks.str();
  return kDone;
}

}  // namespace

Command plan_command() {
  return {
      .name = "plan",
      .summary = "show the memory that each layer needs, without allocating it",
      .operands = "",
      .flags =
          {{"model=FILE", "net prototxt, each phase of which is planned separately"},
           {"solver=FILE",
            "solver prototxt, instead of --model; its training and test nets are planned together"},
           {"phase=PHASE", "with --model: TRAIN or TEST (default: each phase that the net has)"},
           {"set=FIELD=VALUE",
            "change a field of the solver or the net for this plan: `doppio help set`"},
           {"level=N", "with --model: level of the net, for its include and exclude rules"},
           {"stage=NAMES",
            "with --model: stages of the net, for the same rules, separated by commas"},
           {"no_fusion",
            "plan to run every layer separately, without fusing it with the next ones"},
           {"reference", "plan to run the slow reference implementations"}},
      .example = "doppio plan --solver=models/alexnet/solver.prototxt --set data.batch_size=512",
      .run = run};
}

}  // namespace doppio
