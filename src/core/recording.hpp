#pragma once
#include <memory>

namespace doppio {

/// Follows the tensors that a piece of work reads and writes, so that the work can be repeated on a
/// device without the code that asked for it. One at a time in each thread.
class Recording {
 public:
  /// Begins to follow.
  Recording();
  ~Recording();
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  void stop();
  /// Whether the work can be repeated: all tensors must be where it found them, which those that
  /// have moved never will, with the same copies current, and unchanged if it read them on the host
  /// or asked for their version().
  enum class Fit { now, not_now, never };
  Fit fit() const;
  bool fits() const { return fit() == Fit::now; }
  /// Notes that the device has done the work again.
  void repeated();
  /// Notes that it has not done the work after all.
  void undo();

 private:
  friend class Tensor;
  struct Followed;
  std::unique_ptr<Followed> followed_;
};

}  // namespace doppio
