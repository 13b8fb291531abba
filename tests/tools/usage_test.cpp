// Help, spelling mistakes and exit codes.
#include <gtest/gtest.h>

#include <filesystem>

#include "doppio/extend/registry.hpp"
#include "support/scratch_folder.hpp"
#include "tools/command.hpp"
#include "tools/run_command.hpp"

namespace doppio {
namespace {

/// Splits a command's name into words.
std::vector<std::string> words(const std::string& name) {
  const std::size_t space = name.find(' ');
  if (space == name.npos) return {name};
  return {name.substr(0, space), name.substr(space + 1)};
}

void expect_usage_error(const std::vector<std::string>& arguments, const std::string& message) {
  const Outcome r = run_doppio(arguments);
  EXPECT_EQ(r.exit_code, 2);
  EXPECT_EQ(r.err, "doppio: error: " + message + "\n");
  EXPECT_EQ(r.out, "");
}

TEST(Usage, IsShownWithoutACommandAndOnRequest) {
  const Outcome bare = run_doppio({});
  EXPECT_EQ(bare.exit_code, 2);
  EXPECT_EQ(bare.out, "");
  const Outcome asked = run_doppio({"--help"});
  EXPECT_EQ(asked.exit_code, 0);
  EXPECT_EQ(asked.err, "");
  EXPECT_EQ(asked.out, bare.err);
  for (const Command& command : commands())
    EXPECT_TRUE(contains(asked.out, "\n  " + command.name + " ")) << command.name;
}

TEST(Usage, EveryCommandHasHelp) {
  for (const Command& command : commands()) {
    std::vector<std::string> arguments = words(command.name);
    arguments.push_back("--help");
    const Outcome r = run_doppio(arguments);
    EXPECT_EQ(r.exit_code, 0) << command.name;
    EXPECT_EQ(r.err, "") << command.name;
    EXPECT_TRUE(contains(r.out, "\nexample:\n  doppio " + command.name)) << r.out;
  }
}

TEST(Usage, HelpShowsDefaults) {
  const std::string help = run_doppio({"time", "-help"}).out;
  EXPECT_TRUE(contains(help,
                       "\n  --iterations=N     forward and backward passes to measure "
                       "(default 50)\n"))
      << help;
  EXPECT_TRUE(contains(
      help,
      "--phase=PHASE      phase to time, TRAIN or TEST (default: TRAIN, or TEST if the net has no"))
      << help;
}

TEST(Usage, PrintsTheVersion) {
  const Outcome r = run_doppio({"--version"});
  EXPECT_EQ(r.exit_code, 0);
  EXPECT_TRUE(r.out.starts_with("doppio ")) << r.out;
}

TEST(Usage, ToolIsAnotherNameOfTheProgram) {
  const std::string tool = std::filesystem::path(DOPPIO_TOOL).replace_filename("tool");
  const Outcome r = run_doppio({"--version"}, tool);
  EXPECT_EQ(r.exit_code, 0);
  EXPECT_EQ(r.out, run_doppio({"--version"}).out);
}

TEST(Usage, NamesWhatIsNearAMisspeltWord) {
  expect_usage_error({"tset"},
                     "unknown command 'tset'; did you mean 'test'?; `doppio --help` lists the "
                     "commands");
  expect_usage_error({"test", "--iteratons=3"},
                     "unknown flag --iteratons; did you mean 'iterations'?");
  expect_usage_error({"frobnicate", "x"},
                     "unknown command 'frobnicate'; `doppio --help` lists the commands");
}

TEST(Usage, RefusesFlagsAndWordsThatACommandDoesNotTake) {
  expect_usage_error({"test", "--phase=TEST"}, "`doppio test` takes no --phase");
  expect_usage_error({"layers", "ReLU"},
                     "`doppio layers` takes no words besides its flags, not 'ReLU'");
  expect_usage_error({"classify"},
                     "`doppio classify` takes IMAGE... besides its flags, not nothing");
}

TEST(Usage, RefusesBadValues) {
  expect_usage_error({"time", "--iterations=many"}, "--iterations=many: expected an integer");
  expect_usage_error({"time", "--model=x", "--iterations=0"}, "--iterations must be at least 1");
  expect_usage_error({"test", "--quiet=perhaps"}, "--quiet=perhaps: expected true or false");
  expect_usage_error({"time", "--iterations=99999999999"},
                     "--iterations=99999999999: expected a smaller integer");
  expect_usage_error({"classify", "--scale=nan", "x"}, "--scale=nan: expected a finite number");
  expect_usage_error({"devices", "--gpu=x"},
                     "--gpu=x: expected numbers of GPUs, such as 0 or 0,1, or `all`");
  expect_usage_error({"layers", "--threads=-1"}, "--threads must not be negative");
  expect_usage_error({"layers", "--threads=2000000"},
                     "--threads=2000000: at most 1024 are possible");
  expect_usage_error({"time", "--model"}, "--model needs a value: --model=VALUE");
  expect_usage_error({"time", "--model", "--quiet"}, "--model needs a value: --model=VALUE");
  expect_usage_error({"time", "--model=x", "--phase=NIGHT"},
                     "--phase=NIGHT: expected TRAIN or TEST");
  expect_usage_error({"time", "--model=x", "--gpu=one"},
                     "--gpu=one: expected numbers of GPUs, such as 0 or 0,1, or `all`");
  expect_usage_error({"time", "--model=x", "--gpu=,"},
                     "--gpu=,: expected numbers of GPUs, such as 0 or 0,1, or `all`");
  expect_usage_error({"time", "--model=x", "--gpu=0,0"}, "--gpu=0,0: GPU 0 is named twice");
  expect_usage_error({"time", "--model=x", "--gpu=0,1"},
                     "--gpu=0,1: only `train` uses several GPUs; name one");
  expect_usage_error({"time", "--model=x", "--set", "lr"},
                     "--set takes FIELD=VALUE or LAYER.FIELD=VALUE, not 'lr'");
  expect_usage_error({"time"}, "`doppio time` needs --model: net prototxt");
  expect_usage_error({"time", "--model="}, "`doppio time` needs --model: net prototxt");
  expect_usage_error({"test", "--model=x"},
                     "`doppio test` needs --weights: weights of the net (.caffemodel or "
                     ".caffemodel.h5)");
  expect_usage_error({"convert", "idx", "--images=x", "db"},
                     "`doppio convert idx` needs --labels: idx file of labels, such as "
                     "train-labels-idx1-ubyte, or a .gz of it");
}

TEST(Devices, ShowsTheCpuUnderBothNames) {
  for (const char* name : {"devices", "device_query"}) {
    const Outcome r = run_doppio({name});
    EXPECT_EQ(r.exit_code, 0);
    EXPECT_TRUE(r.out.starts_with("CPU: ")) << r.out;
    EXPECT_TRUE(contains(r.out, "\nGPU")) << r.out;
  }
}

TEST(Layers, ListsEveryTypeWithItsSource) {
  const Outcome r = run_doppio({"layers"});
  EXPECT_EQ(r.exit_code, 0);
  for (const std::string& type : LayerRegistry::instance().types())
    EXPECT_TRUE(contains(r.out, "\n" + type + " ")) << type;
  EXPECT_TRUE(contains(r.out, "src/layers/activation/relu.cpp:")) << r.out;
}

}  // namespace
}  // namespace doppio
