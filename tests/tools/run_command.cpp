#include "tools/run_command.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>

#include "data/image/image_file.hpp"
#include "io/input_file.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {

namespace {

int start(std::vector<std::string> arguments, const std::string& program, long max_file_bytes,
          const std::string& out, const std::string& err) {
  arguments.insert(arguments.begin(), program.empty() ? DOPPIO_TOOL : program);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t process = fork();
  if (process < 0) throw std::runtime_error("fork failed");
  if (process > 0) return process;
  // The child may only make calls that are safe between fork and exec.
  if (max_file_bytes > 0) {
    const auto bytes = static_cast<rlim_t>(max_file_bytes);
    const rlimit limit = {bytes, bytes};
    signal(SIGXFSZ, SIG_IGN);  // writing fails with EFBIG instead
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  setenv("OMP_NUM_THREADS", "1", 1);
  const int out_fd = open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  const int err_fd = err == out ? out_fd : open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  dup2(out_fd, STDOUT_FILENO);
  dup2(err_fd, STDERR_FILENO);
  execv(argv[0], argv.data());
  _exit(127);
}

}  // namespace

Outcome run_doppio(const std::vector<std::string>& arguments, const std::string& program,
                   long max_file_bytes) {
  const ScratchFolder folder;
  Outcome outcome;
  outcome.exit_code =
      wait_for(start(arguments, program, max_file_bytes, folder / "out", folder / "err"));
  outcome.out = read_file(folder / "out");
  outcome.err = read_file(folder / "err");
  return outcome;
}

int start_doppio(const std::vector<std::string>& arguments, const std::string& log) {
  return start(arguments, {}, 0, log, log);
}

int wait_for(int process) {
  int status = 0;
  if (waitpid(process, &status, 0) != process) throw std::runtime_error("waitpid failed");
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace doppio
