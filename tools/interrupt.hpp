#pragma once

namespace doppio {

/// Thrown to end a command that a signal asked to stop, so that destructors run.
struct Interrupted {
  int signal;
};

/// While it lives, SIGINT (Ctrl-C), SIGTERM and SIGHUP let the pass in hand come to its end; a
/// second one ends the process at once. Signals that are ignored, as under nohup, stay so. For
/// commands that repeat passes and publish their result at the end. At most one may live at a time.
class Interruptible {
 public:
  Interruptible();
  ~Interruptible();
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;

  /// True from the first signal on.
  bool requested() const;
  /// Called before each pass. Throws: Interrupted after a signal.
  void check() const;
};

/// Ends the process by `signal`, so that a shell sees what stopped it (exit code 128 + signal).
[[noreturn]] void end_by(int signal);

}  // namespace doppio
