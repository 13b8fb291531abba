#pragma once
#include <string>
#include <vector>

namespace doppio {

/// The exit status and the output of a finished process.
struct Outcome {
  int exit_code = -1;  ///< 128 + its number if a signal ended the process
  std::string out, err;
};

/// Runs build/bin/doppio with one thread and waits for it. `program`: another file to run instead.
/// `max_file_bytes`: no file may grow beyond it, as on a full disk; 0: no limit.
Outcome run_doppio(const std::vector<std::string>& arguments, const std::string& program = {},
                   long max_file_bytes = 0);

/// Starts the same without waiting; its process id. stdout and stderr go to the file `log`.
int start_doppio(const std::vector<std::string>& arguments, const std::string& log);

/// Waits for a started process; its exit code as in Outcome.
int wait_for(int process);

}  // namespace doppio
