#pragma once
#include <string>
#include <vector>

namespace doppio {

/// The exit status and the output of a finished process.
struct Outcome {
  int exit_code = -1;  ///< 128 + the number of the signal that ended the process, if any
  std::string out, err;
};

/// Runs build/bin/doppio with one thread and waits for it. `program` replaces it by another file.
/// `max_file_bytes` limits the size of files, to simulate a full disk (0: no limit).
Outcome run_doppio(const std::vector<std::string>& arguments, const std::string& program = {},
                   long max_file_bytes = 0);

/// Starts doppio without waiting. Returns its process id. Output goes to the file `log`.
int start_doppio(const std::vector<std::string>& arguments, const std::string& log);

/// Waits for a started process and returns its exit code as in Outcome.
int wait_for(int process);

}  // namespace doppio
