"""Runs programs and kills them, with all their children, after a timeout."""

import os
import signal
import subprocess
import threading
import time

running = set()


class Process:
    """A program whose output goes to the file `log`, or to pipes if `talks`."""

    def __init__(self, command, seconds, log, env=None, talks=False):
        self.command, self.late, self.begin = list(map(str, command)), False, time.monotonic()
        pipe = subprocess.PIPE
        with open(log, "ab") as to:
            self.process = subprocess.Popen(
                self.command,
                env=env,
                stdin=pipe if talks else subprocess.DEVNULL,
                stdout=pipe if talks else to,
                stderr=to,
                text=True,
                start_new_session=True,
            )
        running.add(self)
        self.timer = threading.Timer(max(0, seconds), self._time_is_up)
        self.timer.start()

    def _time_is_up(self):
        self.late = True
        self.kill()

    def kill(self, with_signal=signal.SIGKILL):
        try:
            os.killpg(self.process.pid, with_signal)
        except ProcessLookupError:
            pass  # it has ended

    def interrupt_after(self, seconds):
        """Sends SIGINT, like Ctrl-C, unless the program ends earlier."""
        try:
            self.process.wait(max(0, seconds))
        except subprocess.TimeoutExpired:
            self.kill(signal.SIGINT)

    def wait(self):
        """Waits for the end and returns the exit status: negative after a signal, None after a
        timeout."""
        status = self.process.wait()
        self.timer.cancel()
        self.kill()  # what it started and left running
        running.discard(self)
        self.seconds = time.monotonic() - self.begin
        return None if self.late else status

    def ask(self, line):
        """Sends `line`, unless it is None. Returns the answer, or None if the program has ended."""
        try:
            if line is not None:
                self.process.stdin.write(f"{line}\n")
                self.process.stdin.flush()
            return self.process.stdout.readline().strip() or None
        except (BrokenPipeError, ValueError):
            return None

    def finish(self, line=""):
        """Sends the last line and returns all further output of the program."""
        try:
            self.process.stdin.write(line)
            self.process.stdin.close()
        except BrokenPipeError:
            pass  # it has ended
        return self.process.stdout.read()

    def close(self):
        """Closes the input of a program with pipes and waits for it."""
        self.finish()
        return self.wait()


def kill_all():
    for process in list(running):
        process.timer.cancel()
        process.kill()


def outcome(status):
    """Describes an exit status in words."""
    if status is None:
        return "killed when its time was up"
    return f"exit status {status}" if status >= 0 else f"killed by {signal.Signals(-status).name}"
