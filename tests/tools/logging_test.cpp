// glog's flags and environment variables, as used by scripts for Caffe.
#include <gtest/gtest.h>

#include "data/image/image_file.hpp"
#include "io/input_file.hpp"
#include "tools/training_folder.hpp"

namespace doppio {
namespace {

class Logging : public testing::Test {
 protected:
  Outcome train(std::vector<std::string> more, const std::string& program = {}) const {
    more.insert(more.end(), {"--set", "max_iter=1"});
    std::vector<std::string> arguments = folder.train(more);
    if (!program.empty()) arguments.insert(arguments.begin(), DOPPIO_TOOL);
    return run_doppio(arguments, program);
  }
  /// Returns the contents of the INFO log in folder `log`, or "" if there is none.
  std::string log() const {
    const std::string link = folder / "log/doppio.INFO";
    return access(link.c_str(), R_OK) == 0 ? read_file(link) : "";
  }

  TrainingFolder folder;
};

TEST_F(Logging, LogDirGetsFilesBesideStderr) {
  const Outcome r = train({"--log_dir=" + folder / "log"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_TRUE(contains(r.err, "] Optimization Done.\n"));
  EXPECT_TRUE(contains(log(), "] Optimization Done.\n")) << log();
}

TEST_F(Logging, VariablesSetTheDefaults) {
  const std::string variable = "GLOG_log_dir=" + folder / "log";
  const Outcome r = run_doppio(
      {variable, "GLOG_minloglevel=1", DOPPIO_TOOL, "train",
       "--solver=" + folder / "solver.prototxt", "--set", "max_iter=1", "--minloglevel=0"},
      "/usr/bin/env");
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_TRUE(contains(r.err, "] Optimization Done.\n"));
  EXPECT_TRUE(contains(log(), "] Optimization Done.\n"));
}

TEST_F(Logging, StderrIsTheDefault) {
  for (const char* flag : {"-logtostderr=1", "--logtostderr", "-colorlogtostderr=false", "-v=0"}) {
    const Outcome r = train({flag});
    EXPECT_EQ(r.exit_code, 0) << r.err;
    EXPECT_TRUE(contains(r.err, "] Optimization Done.\n")) << flag;
  }
}

TEST_F(Logging, LevelsChooseWhatIsShown) {
  EXPECT_EQ(train({"--minloglevel", "2"}).err, "");
  const Outcome r = train({"--stderrthreshold=2", "--log_dir=" + folder / "log"});
  EXPECT_EQ(r.err, "");
  EXPECT_TRUE(contains(log(), "] Optimization Done.\n"));
}

TEST_F(Logging, AFolderThatCannotBeMadeIsAnError) {
  const std::string dir = folder / "net.prototxt/log";
  const Outcome r = train({"--log_dir=" + dir});
  EXPECT_EQ(r.exit_code, 1);
  EXPECT_EQ(r.err, "doppio: error: --log_dir=" + dir +
                       ": log files cannot be made there: Not a directory\n");
}

TEST_F(Logging, MisspeltFlagsNameTheNearest) {
  const Outcome r = train({"--log_dri=x"});
  EXPECT_EQ(r.exit_code, 2);
  EXPECT_EQ(r.err, "doppio: error: unknown flag --log_dri; did you mean 'log_dir'?\n");
}

}  // namespace
}  // namespace doppio
