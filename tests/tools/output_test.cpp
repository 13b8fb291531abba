// Output that cannot be written, or that is not read.
#include <gtest/gtest.h>

#include "data/image/image_file.hpp"
#include "io/input_file.hpp"
#include "tools/command.hpp"
#include "tools/training_folder.hpp"

namespace doppio {
namespace {

/// Runs a line of bash in which `doppio` is the program under test.
Outcome bash(const std::string& line) {
  return run_doppio({"-c", "doppio() { '" DOPPIO_TOOL "' \"$@\"; }; set -o pipefail; " + line},
                    "/bin/bash");
}

class Output : public testing::Test {
 protected:
  /// Returns `doppio train` and its arguments as text for bash.
  std::string train(const std::string& more) const {
    return "doppio train --solver=" + folder / "solver.prototxt" + " --set max_iter=2 " + more;
  }

  TrainingFolder folder;
};

TEST_F(Output, AFullDiskIsAnErrorOfEveryCommandThatPrints) {
  std::vector<std::string> lines = {"--help",    "help set",
                                    "--version", "layers",
                                    "devices",   "plan --model=" + folder / "net.prototxt"};
  for (const Command& command : commands()) lines.push_back(command.name + " --help");
  for (const std::string& line : lines) {
    const Outcome r = bash("doppio " + line + " > /dev/full");
    EXPECT_EQ(r.exit_code, 1) << line;
    EXPECT_EQ(r.err, "doppio: error: cannot write the result: No space left on device\n") << line;
  }
}

TEST_F(Output, AResultForAClosedStdoutIsAnErrorToo) {
  const Outcome r = bash("doppio layers >&-");
  EXPECT_EQ(r.exit_code, 1);
  EXPECT_EQ(r.err, "doppio: error: cannot write the result: Bad file descriptor\n");
}

TEST_F(Output, AReaderThatEndsIsNoNews) {
  const Outcome killed = bash("doppio layers | head -1");
  EXPECT_EQ(killed.err, "");
  EXPECT_EQ(killed.out.find('\n'), killed.out.size() - 1);
  const Outcome ignored = bash("(trap '' PIPE; sleep 0.3; doppio layers) | true");
  EXPECT_EQ(ignored.err, "");
  EXPECT_EQ(ignored.exit_code, 1);
}

TEST_F(Output, ClosedStreamsHarmNoFileThatIsOpened) {
  ASSERT_EQ(bash(train("--quiet")).exit_code, 0);
  const std::string model = read_file(folder / "noise_iter_2.caffemodel");
  const std::string database = read_file(folder / "train_lmdb/data.mdb");
  const Outcome r = bash(train("<&- >&- 2>&-"));
  EXPECT_EQ(r.exit_code, 0);
  EXPECT_TRUE(read_file(folder / "noise_iter_2.caffemodel") == model);
  EXPECT_TRUE(read_file(folder / "train_lmdb/data.mdb") == database);
}

TEST_F(Output, TrainingOutlivesItsLog) {
  EXPECT_EQ(bash(train("2> /dev/full")).exit_code, 0);
  EXPECT_EQ(folder.files_with("noise_iter_2.").size(), 2u);
  const Outcome r = bash(train("--set snapshot_prefix=" + folder / "piped" + " 2>&1 | head -1"));
  EXPECT_EQ(r.exit_code, 0);
  EXPECT_EQ(folder.files_with("piped_iter_2.").size(), 2u);
}

}  // namespace
}  // namespace doppio
