#include "net/net_epoch.hpp"

#include <iomanip>
#include <sstream>

namespace doppio {

namespace {

std::vector<EpochSource*> sources_of(Net& net) {
  std::vector<EpochSource*> sources;
  for (NetLayer& l : net.layers())
    if (auto* const source = dynamic_cast<EpochSource*>(l.layer.get())) sources.push_back(source);
  return sources;
}

}  // namespace

std::vector<std::optional<Epoch>> epochs_of(Net& net, bool count) {
  std::vector<std::optional<Epoch>> epochs;
  for (EpochSource* source : sources_of(net)) epochs.push_back(source->epoch(count));
  return epochs;
}

std::optional<Epoch> epoch_of(Net& net, bool count) {
  std::optional<Epoch> longest;
  for (const std::optional<Epoch>& epoch : epochs_of(net, count))
    if (epoch && (!longest || epoch->batches() > longest->batches())) longest = epoch;
  return longest;
}

void show_first(Net& net, Index records) {
  for (EpochSource* source : sources_of(net)) source->show_first(records);
}

std::string refuses_last_batch(Net& net, const Epoch& epoch) {
  for (EpochSource* source : sources_of(net))
    if (source->epoch(true) != epoch) return "the data layers read sets or batches of other sizes";
  std::string reason;
  show_first(net, epoch.last_batch());
  try {
    net.reshape();
  } catch (const Error& e) {
    reason = e.message();
  }
  show_first(net, epoch.batch);
  net.reshape();
  return reason;
}

std::string repeated_records(const Epoch& epoch, Index batches) {
  const Index records = batches * epoch.batch;
  if (records <= epoch.records) return {};
  std::ostringstream text;
  text << records << " images are " << std::setprecision(4)
       << static_cast<double>(records) / static_cast<double>(epoch.records) << " passes over "
       << epoch.records;
  return text.str();
}

}  // namespace doppio
