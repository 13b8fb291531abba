#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "doppio/context.hpp"
#include "doppio/shape.hpp"

namespace doppio {

/// What a captured pass depends on besides the tensors that its layers touch. A graph is replayed
/// only for a key equal to the one that it was captured for.
struct PassKey {
  /// A top of a layer without bottoms, which runs outside of graphs.
  struct Source {
    const float* data;  ///< on the device
    Shape shape;
    friend bool operator==(const Source&, const Source&) = default;
  };
  bool backward = false;        ///< a backward pass follows the forward pass
  Index cleared_gradients = 0;  ///< of parameters: the pass overwrites them instead of adding
  std::vector<Source> sources;
  friend bool operator==(const PassKey&, const PassKey&) = default;
};

/// Captures the passes of one net as graphs of its accelerator, and replays them.
///
/// The first passes run layer by layer: they allocate memory and choose algorithms. The next one is
/// captured, once for each key, and a later pass replays the graph as long as all tensors that it
/// touches are where they were. A net whose layers cannot be captured is run layer by layer for
/// good, which is logged once.
class GraphReplay {
 public:
  /// `net_name` is for the log.
  GraphReplay(Context& ctx, std::string net_name);
  ~GraphReplay();

  /// Runs a pass. `run_layers()` asks the accelerator for its work, layer by layer. Returns true if
  /// a graph did the work, in which case host code of the layers has run at most for the capture.
  bool run(const PassKey& key, const std::function<void()>& run_layers);
  /// Forgets all graphs, after a change of shapes or memory.
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
