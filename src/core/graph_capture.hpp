#pragma once
#include <memory>

namespace doppio {

/// Tracks every tensor that work touches while an accelerator captures it, so that the resulting
/// graph is replayed only while its pointers are valid. One at a time in each thread.
class GraphCapture {
 public:
  /// Begins to track.
  GraphCapture();
  ~GraphCapture();
  GraphCapture(const GraphCapture&) = delete;
  GraphCapture& operator=(const GraphCapture&) = delete;

  void stop();
  enum class Replayable { now, not_now, never };
  /// Returns whether the graph may be replayed. Every tensor must be at the address it had during
  /// the capture (else: never), the same copies of it must be current, and one that was read on the
  /// host, or asked for its version(), must be unchanged.
  Replayable replayable() const;
  bool replayable_now() const { return replayable() == Replayable::now; }
  /// Brings the tensors' state up to date after the device has done the work again.
  void mark_replayed();
  /// Takes the tensors' state back, for work that the device has not done after all.
  void undo();

 private:
  friend class Storage;
  struct Tensors;
  std::unique_ptr<Tensors> tensors_;
};

}  // namespace doppio
