#include "solver/data_report.hpp"

#include <cmath>
#include <cstdio>
#include <map>
#include <optional>
#include <sstream>

#include "distributed/process_group.hpp"
#include "doppio.pb.h"
#include "net/net_epoch.hpp"

namespace doppio {

namespace {

/// Formats a number with up to two decimals, or two significant digits if it is less than 1.
std::string rounded(double value) {
  const int decimals =
      value <= 0 || value >= 1 ? 2 : 1 - static_cast<int>(std::floor(std::log10(value)));
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  std::string digits = text;
  digits.erase(digits.find_last_not_of('0') + 1);
  if (digits.ends_with('.')) digits.pop_back();
  return digits;
}

/// Returns "1 image" or "2.5 images".
std::string counted(double count, const std::string& what) {
  const std::string number = rounded(count);
  return number + " " + what + (number == "1" ? "" : "s");
}

/// Returns one epoch of the train net on all devices: that of the data layer that needs the most
/// batches, or nullopt if no data layer has a known end. Collective.
std::optional<Epoch> train_epoch(Solver& solver) {
  std::ostringstream own;
  for (int device = 0; device < solver.ranks(); ++device) {
    Net& net = solver.net(device);
    const std::vector<std::optional<Epoch>> epochs = epochs_of(net, false);
    for (std::size_t layer = 0; layer < epochs.size(); ++layer)
      if (epochs[layer])
        own << layer << ' ' << net.shard().index << ' ' << epochs[layer]->records << ' '
            << epochs[layer]->batch << '\n';
  }
  std::vector<std::string> all = {own.str()};
  if (solver.group()) all = solver.group()->all_gather(own.str());

  std::map<std::size_t, std::map<int, Epoch>> shards;  // by data layer; parts of a net share one
  for (const std::string& text : all) {
    std::istringstream in(text);
    std::size_t layer = 0;
    int shard = 0;
    for (Epoch epoch; in >> layer >> shard >> epoch.records >> epoch.batch;)
      shards[layer][shard] = epoch;
  }
  std::optional<Epoch> longest;
  for (const auto& [layer, epochs] : shards) {
    if (static_cast<int>(epochs.size()) < solver.net().shard().count) continue;
    Epoch sum;
    for (const auto& [shard, epoch] : epochs) {
      sum.records += epoch.records;
      sum.batch += epoch.batch;
    }
    if (!longest || sum.batches() > longest->batches()) longest = sum;
  }
  return longest;
}

std::string train_line(const Solver& solver, const Epoch& epoch) {
  const SolverParameter& p = solver.param();
  const double an_epoch = static_cast<double>(epoch.records) /
                          (static_cast<double>(epoch.batch) * static_cast<double>(p.iter_size()));
  std::string text =
      str("Train: ", epoch.records, epoch.records == 1 ? " image" : " images", ", batch ",
          epoch.batch, p.iter_size() > 1 ? str(" x iter_size ", p.iter_size()) : std::string(),
          ": ", counted(an_epoch, "iteration"), " an epoch");
  if (p.max_iter() <= 0) return text;
  text += str("; ", counted(p.max_iter(), "iteration"), p.max_iter() == 1 ? " is " : " are ",
              counted(p.max_iter() / an_epoch, "epoch"));
  if (solver.iteration() > 0)
    text += str("; resumed at iteration ", solver.iteration(), " of ", p.max_iter());
  return text;
}

std::string test_line(int net, Index batches, const Epoch& epoch) {
  const Index read = batches * epoch.batch, passes = read / epoch.records;
  std::string what = "reads some images more than once";
  if (read < epoch.records)
    what = str("reads ", read, " of ", epoch.records, " images");
  else if (read % epoch.records == 0)
    what = passes == 1 ? "each image once" : str("each image ", passes, " times");
  return str("Test net #", net, ": ", epoch.records, epoch.records == 1 ? " image" : " images",
             ", ", batches, batches == 1 ? " batch of " : " batches of ", epoch.batch, ": ", what);
}

}  // namespace

std::vector<std::string> data_report(Solver& solver) {
  std::vector<std::string> lines;
  if (const std::optional<Epoch> epoch = train_epoch(solver))
    lines.push_back(train_line(solver, *epoch));
  for (std::size_t i = 0; i < solver.test_nets().size(); ++i) {
    const int net = static_cast<int>(i);
    const Index batches = solver.param().test_iter(net);
    const std::optional<Epoch> epoch = epoch_of(*solver.test_nets()[i], false);
    if (epoch && batches > 0) lines.push_back(test_line(net, batches, *epoch));
  }
  return lines;
}

}  // namespace doppio
