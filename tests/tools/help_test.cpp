// The help of commands and topics.
#include "tools/help.hpp"

#include <gflags/gflags.h>
#include <gtest/gtest.h>

#include <cctype>
#include <sstream>

#include "support/scratch_folder.hpp"
#include "tools/flags.hpp"
#include "tools/run_command.hpp"

namespace doppio {
namespace {

constexpr std::size_t kLines = 40, kColumns = 100;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

void expect_one_screen(const std::string& text) {
  const std::vector<std::string> lines = lines_of(text);
  EXPECT_LE(lines.size(), kLines) << text;
  for (const std::string& line : lines) {
    EXPECT_LE(line.size(), kColumns) << line;
    EXPECT_FALSE(line.ends_with(' ')) << line;
  }
}

void expect_usage_error(const std::vector<std::string>& arguments, const std::string& message) {
  const Outcome r = run_doppio(arguments);
  EXPECT_EQ(r.exit_code, 2);
  EXPECT_EQ(r.err, "doppio: error: " + message + "\n");
  EXPECT_EQ(r.out, "");
}

Command command_with(const std::vector<CommandFlag>& flags) {
  return {.name = "some command",
          .summary = "do something",
          .operands = "IN OUT",
          .flags = flags,
          .example = "doppio some command in out",
          .run = nullptr};
}

TEST(CommandHelp, FitsOneScreen) {
  expect_one_screen(usage());
  for (const Command& command : commands()) expect_one_screen(command_help(command));
  for (const std::string& topic : help_topics()) expect_one_screen(help_on({topic}));
}

TEST(CommandHelp, EveryFlagHasATextOfItsOwn) {
  for (const Command& command : commands())
    for (const CommandFlag& flag : command.flags) {
      const std::string what = command.name + " --" + flag.name;
      gflags::CommandLineFlagInfo info;
      ASSERT_TRUE(gflags::GetCommandLineFlagInfo(flag.name.c_str(), &info)) << what;
      ASSERT_FALSE(flag.help.empty()) << what;
      EXPECT_FALSE(std::isupper(static_cast<unsigned char>(flag.help[0]))) << what;
      EXPECT_FALSE(flag.help.ends_with('.')) << what;
      EXPECT_TRUE(info.type != "string" || !flag.value.empty()) << what;
      EXPECT_TRUE(info.type != "bool" || flag.value.empty()) << what;
    }
}

TEST(CommandHelp, ShowsOnlyDefaultsThatMeanSomething) {
  for (const Command& command : commands()) {
    const std::string help = command_help(command);
    for (const char* text :
         {"(default false)", "(default true)", "(default )", "(default 0)", "(default -1)"})
      EXPECT_FALSE(contains(help, text)) << help;
  }
}

TEST(CommandHelp, DoesNotRepeatTheTopics) {
  const std::string help = command_help(train_command());
  EXPECT_TRUE(contains(help, ": `doppio help set`\n")) << help;
  EXPECT_TRUE(contains(help, "\n  glog's flags, such as --log_dir: `doppio help logging`\n"));
  EXPECT_FALSE(contains(help, "compute_type=BFLOAT16")) << help;
  EXPECT_FALSE(contains(help, "--vmodule")) << help;
}

TEST(CommandHelp, AlignsTextsAndShowsPlaceholdersAndDefaults) {
  const std::string help =
      command_help(command_with({{"iterations", "batches to run"},
                                 {"scale", "factor"},
                                 {"set=FIELD=VALUE", "change a field"},
                                 {"seed", "seed"},
                                 {"backend=FORMAT", "format (default: its own)"},
                                 "gray"}));
  EXPECT_TRUE(
      help.starts_with("doppio some command: do something\n"
                       "\n"
                       "usage: doppio some command [flags] IN OUT\n"
                       "\n"
                       "flags:\n"
                       "  --iterations=N     batches to run (default 50)\n"
                       "  --scale=X          factor (default 1)\n"
                       "  --set FIELD=VALUE  change a field\n"
                       "  --seed=N           seed\n"
                       "  --backend=FORMAT   format (default: its own)\n"
                       "  --gray             convert images to gray\n"
                       "  --threads=N        "))
      << help;
  EXPECT_TRUE(help.ends_with("\n\nexample:\n  doppio some command in out\n")) << help;
}

TEST(CommandHelp, WrapsTextsWithAHangingIndent) {
  std::string text, first = "  --gray       ", second = "               ";
  for (int i = 0; i < 17; ++i) {
    text += "word ";
    first += "word ";
  }
  first.back() = '\n';
  second += "last one\n";
  const std::string help = command_help(command_with({{"gray", text + "last one"}}));
  EXPECT_TRUE(contains(help, "\n" + first + second)) << help;
}

TEST(Help, OfACommandEqualsItsFlag) {
  for (const Command& command : commands()) {
    std::vector<std::string> name;
    std::istringstream in(command.name);
    for (std::string word; in >> word;) name.push_back(word);
    std::vector<std::string> by_help = name, by_flag = name;
    by_help.insert(by_help.begin(), "help");
    by_flag.emplace_back("--help");

    const Outcome r = run_doppio(by_help);

    EXPECT_EQ(r.exit_code, 0) << r.err;
    EXPECT_EQ(r.out, run_doppio(by_flag).out);
    EXPECT_EQ(r.out, command_help(command));
  }
  EXPECT_EQ(run_doppio({"help", "device_query"}).out, command_help(devices_command()));
}

TEST(Help, WithoutWordsListsCommandsAndTopics) {
  const std::string list = run_doppio({"help"}).out;
  EXPECT_EQ(list, run_doppio({"--help"}).out);
  EXPECT_EQ(list, run_doppio({"help", "help"}).out);
  for (const CommandGroup& group : command_groups()) {
    EXPECT_TRUE(contains(list, "\n\n" + group.title + ":\n")) << list;
    for (const Command& command : group.commands)
      EXPECT_TRUE(contains(list, " " + command.summary + "\n")) << list;
  }
  for (const std::string& topic : help_topics())
    EXPECT_TRUE(contains(list, "\n  help " + topic + " ")) << list;
}

TEST(Help, OfTheFirstWordOfSeveralCommandsListsThem) {
  const Outcome r = run_doppio({"help", "convert"});
  EXPECT_EQ(r.exit_code, 0);
  EXPECT_TRUE(contains(r.out, "\n  convert imageset  ")) << r.out;
  EXPECT_TRUE(contains(r.out, "\n  convert idx ")) << r.out;
  EXPECT_FALSE(contains(r.out, "classify")) << r.out;
  EXPECT_EQ(run_doppio({"convert", "--help"}).out, r.out);
}

TEST(Help, HasTopics) {
  const std::string set = run_doppio({"help", "set"}).out;
  EXPECT_TRUE(contains(set, "\n  --set data.batch_size=64 ")) << set;
  const std::string logging = run_doppio({"help", "logging"}).out;
  EXPECT_TRUE(contains(logging, "\n  --log_dir=FOLDER ")) << logging;
  const std::string codes = run_doppio({"help", "exit_codes"}).out;
  for (const ExitCode code : {kDone, kUserError, kUsage, kInternal, kTerminated, kRankLost})
    EXPECT_TRUE(contains(codes, "\n  " + std::to_string(code) + " ")) << codes;
  EXPECT_EQ(run_doppio({"help", "exit", "codes"}).out, codes);
}

TEST(Help, NamesWhatIsNearAMisspeltWord) {
  const std::string end = "; `doppio help` lists the commands and topics";
  expect_usage_error({"help", "trian"}, "no help on 'trian'; did you mean 'train'?" + end);
  expect_usage_error({"help", "loging"}, "no help on 'loging'; did you mean 'logging'?" + end);
  expect_usage_error({"help", "convert", "imagset"},
                     "no help on 'convert imagset'; did you mean 'convert imageset'?" + end);
  expect_usage_error({"trian", "--help"}, "no help on 'trian'; did you mean 'train'?" + end);
  expect_usage_error({"help", "frobnicate"}, "no help on 'frobnicate'" + end);
  expect_usage_error({"help", "train", "more"}, "no help on 'train more'" + end);
}

}  // namespace
}  // namespace doppio
