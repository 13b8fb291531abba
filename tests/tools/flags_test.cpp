#include "tools/flags.hpp"

#include <gflags/gflags.h>
#include <gtest/gtest.h>

#include "support/layer_harness.hpp"

namespace doppio {
namespace {

TEST(SplitCommandLine, TakesEveryFormOfAFlagAnywhere) {
  const CommandLine line =
      split_command_line({"-model", "a b", "train", "--gpu=0", "-iterations=3", "--quiet",
                          "--noverbose", "--level", "-1", "--mean-value", "1,2", "--", "--gpu"});
  EXPECT_EQ(line.words, (std::vector<std::string>{"train", "--gpu"}));
  using Pair = std::pair<std::string, std::string>;
  EXPECT_EQ(line.values, (std::vector<Pair>{{"model", "a b"},
                                            {"gpu", "0"},
                                            {"iterations", "3"},
                                            {"quiet", "true"},
                                            {"verbose", "false"},
                                            {"level", "-1"},
                                            {"mean_value", "1,2"}}));
  EXPECT_FALSE(line.help);
}

TEST(SplitCommandLine, KeepsEqualsSignsOfValues) {
  const CommandLine line = split_command_line({"--set", "a=b", "--set=c=d=e"});
  EXPECT_EQ(line.values[0].second, "a=b");
  EXPECT_EQ(line.values[1].second, "c=d=e");
}

TEST(CommandFlag, IsMadeFromALabelAndAText) {
  const CommandFlag file("model=FILE", "net prototxt");
  EXPECT_EQ(file.name, "model");
  EXPECT_EQ(file.value, "FILE");
  EXPECT_EQ(file.help, "net prototxt");

  const CommandFlag set("set=FIELD=VALUE", "change a field");
  EXPECT_EQ(set.name, "set");
  EXPECT_EQ(set.value, "FIELD=VALUE");

  const CommandFlag name = "gray";
  EXPECT_EQ(name.name, "gray");
  EXPECT_EQ(name.value, "");
  EXPECT_EQ(name.help, "");
}

TEST(FlagsOf, AppendsTheFlagsOfAllCommands) {
  const Command command = {.name = "some",
                           .summary = "",
                           .operands = "",
                           .flags = {{"model=FILE", "net prototxt"}},
                           .example = "",
                           .run = nullptr};
  std::vector<std::string> names;
  for (const CommandFlag& flag : flags_of(command)) names.push_back(flag.name);
  EXPECT_EQ(names, (std::vector<std::string>{"model", "threads", "quiet", "verbose"}));
}

TEST(ApplyCommandLine, CollectsSetsAndOperands) {
  const gflags::FlagSaver restore;
  const Command command = {.name = "two words",
                           .summary = "",
                           .operands = "A",
                           .flags = {"set", "level"},
                           .example = "",
                           .run = nullptr,
                           .min_operands = 1,
                           .max_operands = 1};
  const Arguments given = apply_command_line(
      split_command_line({"two", "words", "--set", "x=1", "a", "--level=2", "--set=y=2"}), command,
      2);
  EXPECT_EQ(given.sets, (std::vector<std::string>{"x=1", "y=2"}));
  EXPECT_EQ(given.operands, (std::vector<std::string>{"a"}));
  EXPECT_EQ(FLAGS_level, 2);
}

}  // namespace
}  // namespace doppio
