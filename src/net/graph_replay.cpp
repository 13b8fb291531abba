#include "net/graph_replay.hpp"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "core/accelerator.hpp"
#include "core/graph_capture.hpp"
#include "doppio/error.hpp"

namespace doppio {

using Replayable = GraphCapture::Replayable;

struct GraphReplay::Graph {
  explicit Graph(const PassKey& key_) : key(key_) {}

  const PassKey key;
  GraphCapture tensors;
  std::shared_ptr<const DeviceGraph> work;
  int misses = 0;  ///< consecutive passes for which it could not be replayed
};

GraphReplay::GraphReplay(Context& ctx, std::string net_name)
    : ctx_(ctx), net_name_(std::move(net_name)) {}
GraphReplay::~GraphReplay() = default;

bool GraphReplay::run(const PassKey& key, const std::function<void()>& run_layers) {
  constexpr int kWarmupPasses = 2;
  if (replay(key) || capture(key, run_layers)) return true;
  run_layers();
  if (state_ == State::warming_up && ++warmup_passes_ == kWarmupPasses) state_ = State::ready;
  return false;
}

void GraphReplay::reset() {
  graphs_.clear();
  warm_up();
}

void GraphReplay::warm_up() {
  state_ = State::warming_up;
  warmup_passes_ = 0;
}

std::vector<std::unique_ptr<GraphReplay::Graph>>::iterator GraphReplay::find(const PassKey& key) {
  return std::find_if(graphs_.begin(), graphs_.end(),
                      [&](const auto& graph) { return graph->key == key; });
}

/// Returns false if no graph for `key` can be replayed now.
bool GraphReplay::replay(const PassKey& key) {
  // A test between two passes, for example, changes which copies of the weights are current.
  constexpr int kMaxMisses = 3;
  const auto found = find(key);
  if (found == graphs_.end()) return false;
  Graph& graph = **found;
  const Replayable replayable = graph.tensors.replayable();
  if (replayable == Replayable::not_now && ++graph.misses < kMaxMisses) return false;
  if (replayable != Replayable::now) {
    graphs_.erase(found);
    warm_up();
    return false;
  }
  graph.misses = 0;
  ctx_.accelerator()->replay(*graph.work, ctx_.pass);
  graph.tensors.mark_replayed();
  ++replay_count_;
  return true;
}

/// Captures a pass and launches the graph. Returns false if capture is impossible, or too early.
bool GraphReplay::capture(const PassKey& key, const std::function<void()>& run_layers) {
  if (state_ != State::ready || find(key) != graphs_.end() || !make_room()) return false;
  Accelerator& device = *ctx_.accelerator();
  auto graph = std::make_unique<Graph>(key);
  std::string refusal;
  try {
    ctx_.pass_at = device.begin_capture();
    run_layers();
  } catch (const NotCapturable& e) {
    refusal = e.what();
  } catch (const InternalError& e) {
    // A library may refuse to be captured. A real failure recurs in the pass that follows.
    refusal = e.what();
  } catch (...) {
    ctx_.pass_at = nullptr;
    device.end_capture();
    graph->tensors.undo();
    throw;
  }
  ctx_.pass_at = nullptr;
  graph->tensors.stop();
  graph->work = device.end_capture();
  if (!graph->work && refusal.empty()) refusal = "the device refused";
  if (!refusal.empty()) {
    graph->tensors.undo();
    LOG(INFO) << "Passes of net '" << net_name_
              << "' are not captured, and so are slower: " << refusal;
    state_ = State::not_capturable;
    return false;
  }
  device.replay(*graph->work, ctx_.pass);
  graphs_.push_back(std::move(graph));
  return true;
}

/// If the list is full, drops graphs that can never be replayed. Returns false if it stays full.
bool GraphReplay::make_room() {
  // Data layers rotate through a few buffers each, which give as many keys.
  constexpr std::size_t kMaxGraphs = 12;
  if (graphs_.size() == kMaxGraphs)
    std::erase_if(graphs_, [](const auto& graph) {
      return graph->tensors.replayable() == Replayable::never;
    });
  return graphs_.size() < kMaxGraphs;
}

}  // namespace doppio
