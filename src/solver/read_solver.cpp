#include "solver/read_solver.hpp"

#include <algorithm>
#include <filesystem>

#include "io/input_file.hpp"
#include "net/format/read_prototxt.hpp"
#include "net/passes/passes.hpp"

namespace doppio {

namespace {

SolverNet with_state(const SourcedSolver& solver, SourcedNet source, Phase phase,
                     const NetState& extra) {
  SolverNet net;
  net.state.set_phase(phase);
  net.state.MergeFrom(source.net.state());
  net.state.MergeFrom(extra);
  net.source = solver.edit ? solver.edit(std::move(source), net.state) : std::move(source);
  return net;
}

SourcedNet from_file(const std::string& file, const char* field) {
  try {
    return read_prototxt(file);
  } catch (const Error& e) {
    if (!e.where().file.empty()) throw;
    throw Error(e.message(), {}, field);  // the file was not found: locate the solver's field
  }
}

/// Returns a net that is written inside the solver file, as its field `path`.
SourcedNet from_message(const NetParameter& net, const SourcedSolver& solver,
                        const std::string& path) {
  SourcedNet source;
  source.net = net;
  source.file = solver.file;
  source.fields = locations_under(solver.fields, path);
  return upgrade(with_layer_places(std::move(source)));
}

/// Returns the net used for both training and testing. Exactly one of the two fields is set.
SourcedNet common_net(const SourcedSolver& solver) {
  const SolverParameter& p = solver.param;
  return p.has_net() ? from_file(p.net(), "net") : from_message(p.net_param(), solver, "net_param");
}

}  // namespace

SourcedSolver read_solver(const std::string& file) {
  SourcedSolver source;
  source.file = file;
  source.fields = parse_text(read_text_file(file), file, source.param);
  return source;
}

void check_ranges(const SolverParameter& p) {
  const auto at_least = [](int value, int least, const char* field) {
    require_field(value >= least, field, field, " must be at least ", least, ", it is ", value);
  };
  at_least(p.iter_size(), 1, "iter_size");
  at_least(p.average_loss(), 1, "average_loss");
  at_least(p.max_iter(), 0, "max_iter");
  at_least(p.display(), 0, "display");
  at_least(p.snapshot(), 0, "snapshot");
  at_least(p.test_interval(), 0, "test_interval");
  const auto one_of =
      [](const std::string& value, const char* field, const std::vector<std::string>& values) {
    require_field(std::find(values.begin(), values.end(), value) != values.end(), field, field,
                  " '", value, "' is unknown", did_you_mean(value, values));
  };
  one_of(p.eval_type(), "eval_type", {"classification", "detection"});
  one_of(p.ap_version(), "ap_version", {"Integral", "MaxIntegral", "11point"});
  require_field(p.weight_decay() >= 0, "weight_decay", "weight_decay must not be negative, it is ",
                p.weight_decay());
}

SolverNet train_net(const SourcedSolver& solver) {
  const SolverParameter& p = solver.param;
  std::string given, last;
  int count = 0;
  const auto note = [&](bool has, const char* field) {
    if (!has) return;
    given += (count++ ? ", " : "") + std::string(field);
    last = field;
  };
  note(p.has_net(), "net");
  note(p.has_net_param(), "net_param");
  note(p.has_train_net(), "train_net");
  note(p.has_train_net_param(), "train_net_param");
  require(count > 0, "there is no net to train; name its file with net");
  require_field(count == 1, last, "more than one net to train is given (", given,
                "); exactly one is needed");

  if (p.has_train_net())
    return with_state(solver, from_file(p.train_net(), "train_net"), TRAIN, p.train_state());
  if (p.has_train_net_param())
    return with_state(solver, from_message(p.train_net_param(), solver, "train_net_param"), TRAIN,
                      p.train_state());
  return with_state(solver, common_net(solver), TRAIN, p.train_state());
}

std::vector<SolverNet> test_nets(const SourcedSolver& solver) {
  const SolverParameter& p = solver.param;
  const bool common = p.has_net() || p.has_net_param();
  const int own = p.test_net_param_size() + p.test_net_size();
  require_field(common ? p.test_iter_size() >= own : p.test_iter_size() == own, "test_iter",
                "test_iter is given ", p.test_iter_size(), " times for ", own,
                " test nets; each needs its number of batches");
  const int total = p.test_iter_size();
  for (int i = 0; i < total; ++i)
    require_field(p.test_iter(i) >= 0, str("test_iter[", i, "]"),
                  "test_iter must not be negative, it is ", p.test_iter(i));
  require_field(p.test_state_size() == 0 || p.test_state_size() == total, "test_state",
                "test_state is given ", p.test_state_size(), " times for ", total,
                " test nets; give it for none or for each");
  require_field(total == 0 || p.test_interval() > 0, "test_iter",
                "there are test nets, so test_interval must be greater than 0");

  std::vector<SolverNet> nets;
  const auto add = [&](SourcedNet source) {
    const int i = static_cast<int>(nets.size());
    nets.push_back(with_state(solver, std::move(source), TEST,
                              p.test_state_size() ? p.test_state(i) : NetState()));
  };
  for (int i = 0; i < p.test_net_param_size(); ++i)
    add(from_message(p.test_net_param(i), solver, str("test_net_param[", i, "]")));
  for (const std::string& file : p.test_net()) add(from_file(file, "test_net"));
  while (static_cast<int>(nets.size()) < total) add(common_net(solver));
  return nets;
}

SolverParameter with_nets_inside(const SourcedSolver& solver) {
  SolverParameter p = solver.param;
  if (p.has_net()) *p.mutable_net_param() = from_file(p.net(), "net").net;
  p.clear_net();
  if (p.has_train_net()) *p.mutable_train_net_param() = from_file(p.train_net(), "train_net").net;
  p.clear_train_net();
  for (const std::string& file : p.test_net())
    *p.add_test_net_param() = from_file(file, "test_net").net;
  p.clear_test_net();
  return p;
}

std::string snapshot_prefix(const SourcedSolver& solver) {
  namespace fs = std::filesystem;
  const std::string stem = fs::path(solver.file).stem();
  const std::string& prefix = solver.param.snapshot_prefix();
  require_field(!prefix.empty() || !stem.empty(), "snapshot_prefix",
                "snapshot_prefix is missing, and there is no solver file to name snapshots after");
  if (prefix.empty()) return fs::path(solver.file).replace_extension();
  std::error_code unknown;  // errors such as a name that is too long are reported on writing
  if (!prefix.ends_with('/') && !fs::is_directory(prefix, unknown)) return prefix;
  return fs::path(prefix) / (stem.empty() ? "solver" : stem);
}

}  // namespace doppio
