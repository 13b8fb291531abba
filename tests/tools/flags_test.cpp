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
