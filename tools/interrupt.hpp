#pragma once

namespace doppio {

/// Thrown to end a command that a signal asked to stop, so that destructors run.
struct Interrupted {
  int signal;
};

/// While it lives, SIGINT (Ctrl-C) and SIGTERM let the pass in hand come to its end; a second one
/// ends the process at once. For commands that repeat passes and publish their result at the end.
/// At most one may live at a time.
class Interruptible {
 public:
  Interruptible();
  ~Interruptible();
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;

  /// Called before each pass. Throws: Interrupted after a signal.
  void check() const;
};

/// Ends the process by `signal`, so that a shell sees what stopped it (exit code 128 + signal).
[[noreturn]] void end_by(int signal);

}  // namespace doppio
