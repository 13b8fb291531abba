#pragma once

namespace doppio {

/// Thrown to end a command after a signal, so that destructors run.
struct Interrupted {
  int signal;
};

/// While an object lives, SIGINT (Ctrl-C), SIGTERM and SIGHUP let the current pass complete. A
/// second signal ends the process at once. Ignored signals, as under nohup, stay ignored. For
/// commands that repeat passes and print the result at the end. At most one object may exist.
class Interruptible {
 public:
  Interruptible();
  ~Interruptible();
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;

  /// Returns true after the first signal.
  bool requested() const;
  /// Call before each pass. Throws: Interrupted after a signal.
  void check() const;
};

/// Ends the process by `signal`, so that a shell sees the cause (exit code 128 + signal).
[[noreturn]] void end_by(int signal);

}  // namespace doppio
