// Ctrl-C in commands that repeat passes.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "data/image/image_file.hpp"
#include "io/input_file.hpp"
#include "tools/training_folder.hpp"

namespace doppio {
namespace {

class Interrupt : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(run_doppio(folder.train({"--set", "max_iter=1"})).exit_code, 0);
  }

  /// Starts `command`, sends `signal` once `started()` returns true, and returns the exit code.
  template <class Started>
  int interrupted(const std::string& command, const std::vector<std::string>& more, int signal,
                  const Started& started) const {
    std::vector<std::string> arguments = {command, "--model=" + folder / "net.prototxt"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const int process = start_doppio(arguments, log);
    for (int tries = 0; tries < 600; ++tries) {
      usleep(50'000);
      if (started()) break;
    }
    kill(process, signal);
    return wait_for(process);
  }

  auto logged(const std::string& sign) const {
    return
        [this, sign] { return access(log.c_str(), R_OK) == 0 && contains(read_file(log), sign); };
  }

  TrainingFolder folder;
  const std::string log = folder / "log";
  const std::string weights = "--weights=" + folder / "noise_iter_1.caffemodel";
};

constexpr char kEndless[] = "--iterations=2000000000";

TEST_F(Interrupt, EndsATestByTheSignal) {
  EXPECT_EQ(interrupted("test", {weights, kEndless}, SIGINT, logged("Batch 3")), 130);
  const std::string text = read_file(log);
  EXPECT_TRUE(contains(text, "\nCtrl-C: stopping after this pass; press again to stop at once\n"));
  EXPECT_TRUE(text.ends_with("doppio: interrupted\n"));
  EXPECT_EQ(interrupted("test", {weights, kEndless}, SIGTERM, logged("Batch 3")), 143);
}

TEST_F(Interrupt, EndsATimingByTheSignal) {
  EXPECT_EQ(interrupted("time", {kEndless}, SIGINT, logged("Iteration: 3")), 130);
}

TEST_F(Interrupt, LeavesNoDatabaseOfFeatures) {
  const std::vector<std::string> more = {weights, kEndless, "ip", folder / "features"};
  EXPECT_EQ(
      interrupted("extract", more, SIGINT, [&] { return !folder.files_with("features").empty(); }),
      130);
  EXPECT_TRUE(folder.files_with("features").empty());
}

}  // namespace
}  // namespace doppio
