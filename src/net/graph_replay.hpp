#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "doppio/context.hpp"
#include "doppio/shape.hpp"

namespace doppio {

/// The state that a captured pass depends on besides the tensors of its layers. A graph is replayed
/// only for a key that equals the one it was captured with.
struct PassKey {
  /// A top of a layer without bottoms. Such layers run outside of graphs.
  struct Source {
    const float* data;  ///< device pointer
    Shape shape;
    friend bool operator==(const Source&, const Source&) = default;
  };
  bool backward = false;        ///< a backward pass follows the forward pass
  Index cleared_gradients = 0;  ///< number of parameter gradients that the pass overwrites
  std::vector<Source> sources;
  friend bool operator==(const PassKey&, const PassKey&) = default;
};

/// Captures the passes of one net as graphs of its accelerator, and replays them.
///
/// The first passes run layer by layer, so that they allocate memory and choose algorithms. The
/// next pass is captured, once for each key, and later passes replay the graph as long as the
/// addresses of all tensors are unchanged. If a layer cannot be captured, the net always runs layer
/// by layer, which is logged once.
class GraphReplay {
 public:
  /// `net_name` appears in the log.
  GraphReplay(Context& ctx, std::string net_name);
  ~GraphReplay();

  /// Runs a pass. `run_layers()` submits the work to the accelerator layer by layer. Returns true
  /// if a graph did the work. Host code of the layers then ran at most once, for the capture.
  bool run(const PassKey& key, const std::function<void()>& run_layers);
  /// Drops all graphs. Call it after a change of shapes or memory.
  void reset();
  /// Number of passes for which run_layers() was not called.
  std::uint64_t replay_count() const { return replay_count_; }

 private:
  enum class State { warming_up, ready, not_capturable };
  struct Graph;

  std::vector<std::unique_ptr<Graph>>::iterator find(const PassKey& key);
  bool replay(const PassKey& key);
  bool capture(const PassKey& key, const std::function<void()>& run_layers);
  bool make_room();
  void warm_up();

  Context& ctx_;
  const std::string net_name_;
  State state_ = State::warming_up;
  int warmup_passes_ = 0;
  std::vector<std::unique_ptr<Graph>> graphs_;
  std::uint64_t replay_count_ = 0;
};

}  // namespace doppio
