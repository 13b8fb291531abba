#pragma once
#include <memory>

namespace doppio {

/// Tracks every tensor that captured work touches, so that the resulting graph is replayed only
/// while its pointers are valid. At most one per thread at a time.
class GraphCapture {
 public:
  /// Starts tracking.
  GraphCapture();
  ~GraphCapture();
  GraphCapture(const GraphCapture&) = delete;
  GraphCapture& operator=(const GraphCapture&) = delete;

  void stop();
  enum class Replayable { now, not_now, never };
  /// Returns whether the graph may be replayed. Every tensor must be at the address it had during
  /// the capture (else: never), the same copies of it must be current, and its contents must be
  /// unchanged if the host read them or their version().
  Replayable replayable() const;
  bool replayable_now() const { return replayable() == Replayable::now; }
  /// Updates the tensors' state after a replay.
  void mark_replayed();
  /// Restores the tensors' state if the captured work will not run.
  void undo();

 private:
  friend class Storage;
  struct Tensors;
  std::unique_ptr<Tensors> tensors_;
};

}  // namespace doppio
