#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <regex>
#include <sstream>

#include "data/image/image_file.hpp"
#include "doppio.pb.h"
#include "io/input_file.hpp"
#include "tools/training_folder.hpp"

namespace doppio {
namespace {

std::vector<std::string> lines_with(const std::string& text, const std::string& part) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);)
    if (contains(line, part)) lines.push_back(line);
  return lines;
}

/// Returns word `n` of a line, counted from 1 as in awk.
std::string word(const std::string& line, int n) {
  std::istringstream in(line);
  std::string w;
  for (int i = 0; i < n; ++i) in >> w;
  return w;
}

class Train : public testing::Test {
 protected:
  TrainingFolder folder;
};

TEST_F(Train, WritesLinesThatPublishedParsersRead) {
  const Outcome r = run_doppio(folder.train({"--set", "max_iter=6", "--set", "snapshot=4"}));
  ASSERT_EQ(r.exit_code, 0) << r.err;
  EXPECT_EQ(r.out, "");
  const std::regex prefix(R"([IW]\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ \S+\.cpp:\d+\] .*)");
  std::istringstream in(r.err);
  for (std::string line; std::getline(in, line);)
    EXPECT_TRUE(std::regex_match(line, prefix)) << line;

  const std::string number = R"([.\deE+-]+)";
  const auto count = [&](const std::string& pattern) {
    const std::regex regex(pattern);
    return std::distance(std::sregex_iterator(r.err.begin(), r.err.end(), regex), {});
  };
  EXPECT_EQ(count(R"(\] Solving noise\n)"), 1);
  EXPECT_EQ(count(R"(\] Learning Rate Policy: multistep\n)"), 1);
  EXPECT_EQ(count(R"(\] Iteration \d+ \(\S+ iter/s, \S+s/2 iters\), loss = )" + number + "\n"), 3);
  EXPECT_EQ(count(R"(\] Iteration 6, loss = )" + number + "\n"), 1);
  EXPECT_EQ(count(R"(\]     Train net output #0: loss = )" + number + R"( \(\* 1 = )" + number +
                  R"( loss\)\n)"),
            3);
  EXPECT_EQ(count(R"(\] Iteration \d+, Testing net \(#0\)\n)"), 2);
  EXPECT_EQ(count(R"(\]     Test net output #0: accuracy = )" + number + "\n"), 2);
  EXPECT_EQ(count(R"(\]     Test net output #1: loss = )" + number + R"( \(\* 1 = )"), 2);
  EXPECT_EQ(count(R"(\] MultiStep Status: Iteration 4, step = 1\n)"), 1);
  EXPECT_EQ(count(R"(\] Snapshotting to binary proto file \S+_iter_4\.caffemodel\n)"), 1);
  EXPECT_EQ(count(R"(\] Snapshotting solver state to binary proto file \S+_iter_4\.solverstate\n)"),
            1);
  EXPECT_EQ(count(R"(\] Waited for input \d+(\.\d)? % of \S+ s\n)"), 3);  // 4, 5 and the end
  EXPECT_EQ(count(R"(\] Optimization Done\.\n)"), 2);
  EXPECT_EQ(
      count(
          R"(\] Trained on 30 images in \S+ s without tests: \S+ images/s; peak memory \d+ MiB\n)"),
      1);
  // Log parsers in awk count words.
  EXPECT_EQ(word(lines_with(r.err, "lr = ").at(1), 9), "0.05");
  EXPECT_EQ(word(lines_with(r.err, "lr = ").at(2), 9), "0.025");
  EXPECT_TRUE(std::regex_match(word(lines_with(r.err, "Test net output #0").at(0), 11),
                               std::regex(number)));
}

/// Expects 20 iterations to give the same files as 10, a snapshot and 10 more. `sets` are the
/// values of --set.
void expect_exact_resume(const TrainingFolder& folder, const std::vector<std::string>& sets) {
  const auto train = [&](const std::string& more) {
    std::vector<std::string> arguments = folder.train({more});
    for (const std::string& set : sets) arguments.insert(arguments.end(), {"--set", set});
    return run_doppio(arguments);
  };
  ASSERT_EQ(train("--quiet").exit_code, 0);
  const std::string whole = read_file(folder / "noise_iter_20.caffemodel");
  const std::string whole_state = read_file(folder / "noise_iter_20.solverstate");
  for (const char* file : {"noise_iter_20.caffemodel", "noise_iter_20.solverstate"})
    unlink((folder / file).c_str());

  ASSERT_EQ(train("--set=max_iter=10").exit_code, 0);
  EXPECT_FALSE(read_file(folder / "noise_iter_10.caffemodel") == whole);  // the weights do change
  const Outcome r = train("--snapshot=" + folder / "noise_iter_10.solverstate");
  ASSERT_EQ(r.exit_code, 0) << r.err;
  EXPECT_TRUE(contains(r.err, "Resuming from " + folder / "noise_iter_10.solverstate"));
  EXPECT_TRUE(read_file(folder / "noise_iter_20.caffemodel") == whole);
  EXPECT_TRUE(read_file(folder / "noise_iter_20.solverstate") == whole_state);
}

TEST_F(Train, ResumedTrainingEqualsUninterruptedTrainingBitForBit) {
  expect_exact_resume(folder, {});
  const std::string whole = read_file(folder / "noise_iter_20.caffemodel");
  ASSERT_EQ(run_doppio(folder.train({"--set", "random_seed=8"})).exit_code, 0);
  EXPECT_FALSE(read_file(folder / "noise_iter_20.caffemodel") == whole);
}

TEST_F(Train, ResumesAPlateauBitForBit) {
  expect_exact_resume(folder, {"lr_policy=plateau", "plateau_metric=loss", "plateau_patience=1",
                               "plateau_max_drops=20", "test_interval=1", "warmup_iter=3"});
  SolverState state;
  ASSERT_TRUE(state.ParseFromString(read_file(folder / "noise_iter_20.solverstate")));
  EXPECT_GE(state.current_step(), 3);  // otherwise nothing is tested
}

TEST_F(Train, QuietLogsNothing) {
  const Outcome r = run_doppio(folder.train({"--quiet", "--set", "max_iter=1"}));
  EXPECT_EQ(r.exit_code, 0);
  EXPECT_EQ(r.out + r.err, "");
}

TEST_F(Train, SetChangesSolverAndNets) {
  const Outcome r = run_doppio(
      folder.train({"--set", "max_iter=1", "--set", "base_lr=0.125", "--set",
                    "train:data.batch_size=3", "--set", "test:data.batch_size=2", "--set",
                    "lr_policy=fixed", "--set=snapshot_prefix=" + folder / "other"}));
  ASSERT_EQ(r.exit_code, 0) << r.err;
  EXPECT_TRUE(contains(r.err, "lr = 0.125\n")) << r.err;
  EXPECT_TRUE(contains(r.err, "Trained on 3 images")) << r.err;
  EXPECT_EQ(folder.files_with("other_iter_1.").size(), 2u);
}

TEST_F(Train, LevelAndStageCountForTheTrainNetAlone) {
  folder.write_net("layer { name: \"drop1\"",
                   "layer { name: \"pow\" type: \"Power\" bottom: \"data\" top: \"extra\" include "
                   "{ stage: \"more\" min_level: 2 } }\nlayer { name: \"drop1\"");
  const Outcome r = run_doppio(
      folder.train({"--set", "max_iter=1", "--stage=more,b", "--level=2", "--set", "display=1"}));
  ASSERT_EQ(r.exit_code, 0) << r.err;
  EXPECT_TRUE(contains(r.err, "Train net output #0: extra = "));
  EXPECT_FALSE(contains(r.err, "Test net output #1: extra = "));
}

TEST_F(Train, WeightsFillLayersByNameAndSayWhich) {
  ASSERT_EQ(run_doppio(folder.train({"--set", "max_iter=1"})).exit_code, 0);
  const std::string weights = folder / "noise_iter_1.caffemodel";
  const Outcome r = run_doppio(
      folder.train({"--weights=" + weights, "--set", "max_iter=1", "--set", "ip.name=ip9"}));
  ASSERT_EQ(r.exit_code, 0) << r.err;
  EXPECT_TRUE(contains(r.err, "] Finetuning from " + weights + "\n"));
  EXPECT_TRUE(contains(r.err, "\nconv1  loaded   4 x 3 x 3 x 3, 4\n")) << r.err;
  EXPECT_TRUE(contains(r.err, "\nip     skipped  4 x 64, 4\n")) << r.err;
  EXPECT_TRUE(contains(r.err, "\nip9    new      4 x 64, 4\n")) << r.err;

  const Outcome bad =
      run_doppio(folder.train({"--weights=" + weights, "--quiet", "--set", "conv1.num_output=6"}));
  EXPECT_EQ(bad.exit_code, 1);
  EXPECT_TRUE(contains(bad.err, "layer 'conv1': file: 4 x 3 x 3 x 3, 4; net: 6 x 3 x 3 x 3, 6"))
      << bad.err;
}

TEST_F(Train, WeightsInTheSolverGiveWayToTheFlag) {
  ASSERT_EQ(run_doppio(folder.train({"--set", "max_iter=1"})).exit_code, 0);
  const std::string weights = folder / "noise_iter_1.caffemodel";
  const Outcome own = run_doppio(folder.train({"--set", "max_iter=1", "--set=weights=" + weights}));
  EXPECT_EQ(own.exit_code, 0) << own.err;
  EXPECT_TRUE(contains(own.err, "Finetuning from " + weights));
  const Outcome flag = run_doppio(
      folder.train({"--set", "max_iter=1", "--set=weights=gone", "--weights=" + weights}));
  EXPECT_EQ(flag.exit_code, 0) << flag.err;
}

TEST_F(Train, ExplainsAMisuseOfSnapshotAndWeights) {
  const Outcome both = run_doppio(folder.train({"--snapshot=a.solverstate", "--weights=b,c"}));
  EXPECT_EQ(both.exit_code, 2);
  EXPECT_TRUE(contains(both.err, "with one file of weights, not several")) << both.err;
  const Outcome model = run_doppio(folder.train({"--snapshot=x.caffemodel"}));
  EXPECT_EQ(model.exit_code, 2);
  EXPECT_TRUE(contains(model.err, "use --weights to begin with them")) << model.err;
  EXPECT_EQ(run_doppio({"train"}).exit_code, 2);
  const Outcome effect = run_doppio(folder.train({"--sigint_effect=stpo"}));
  EXPECT_EQ(effect.exit_code, 2);
  EXPECT_TRUE(contains(effect.err, "did you mean 'stop'?")) << effect.err;
}

TEST_F(Train, PlanKnowsTheSolversNetsAndRule) {
  const std::string solver = "--solver=" + folder / "solver.prototxt";
  const Outcome r = run_doppio({"plan", solver, "--set", "ip.num_output=16384", "--set=type=Adam"});
  ASSERT_EQ(r.exit_code, 0) << r.err;
  EXPECT_TRUE(contains(r.out, "TRAIN net, " + folder / "net.prototxt")) << r.out;
  EXPECT_TRUE(contains(r.out, "TEST net, ")) << r.out;
  // ip: 16384 x 64 weights and 16384 biases take 4.06 MiB. Adam keeps two values for each.
  const std::regex ip(R"(\nip +InnerProduct +5 x 16384 +0\.31 +0\.00 +4\.06 +4\.06 +8\.12\n)");
  EXPECT_TRUE(std::regex_search(r.out, ip)) << r.out;
  EXPECT_TRUE(std::regex_search(r.out, std::regex(R"(\ntraining +MiB\nparameters +4\.)"))) << r.out;
  const Outcome both = run_doppio({"plan", solver, "--model=x"});
  EXPECT_EQ(both.exit_code, 2);
  EXPECT_TRUE(contains(both.err, "needs --model or --solver")) << both.err;
}

/// Starts a long training, sends `signal` while it runs, and returns the exit code.
int interrupted(const TrainingFolder& folder, int signal, const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {"--set", "max_iter=100000000", "--set", "display=1"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  const std::string log = folder / "log";
  const int process = start_doppio(folder.train(arguments), log);
  for (int tries = 0; tries < 600; ++tries) {
    usleep(50'000);
    if (access(log.c_str(), R_OK) == 0 && contains(read_file(log), "Iteration 3 ")) break;
  }
  kill(process, signal);
  return wait_for(process);
}

TEST_F(Train, Sigusr1WorksLikeSigterm) {
  EXPECT_EQ(interrupted(folder, SIGUSR1, {}), 75);
  ASSERT_EQ(folder.files_with(".solverstate").size(), 1u) << read_file(folder / "log");
  EXPECT_TRUE(contains(read_file(folder / "log"), "SIGUSR1: finishing iteration "));
}

TEST_F(Train, SigtermWritesASnapshotAndAsksToBeStartedAgain) {
  EXPECT_EQ(interrupted(folder, SIGTERM, {}), 75);
  ASSERT_EQ(folder.files_with(".solverstate").size(), 1u) << read_file(folder / "log");
  EXPECT_TRUE(contains(read_file(folder / "log"), "Optimization stopped early."));
  EXPECT_TRUE(contains(read_file(folder / "log"), "Optimization Done."));  // like Caffe's tool
  EXPECT_TRUE(contains(read_file(folder / "log"), "SIGTERM: finishing iteration "));
  const std::string state = folder / folder.files_with(".solverstate")[0];
  EXPECT_EQ(run_doppio(folder.train({"--snapshot=" + state, "--set", "max_iter=1"})).exit_code, 0);
}

TEST_F(Train, CtrlCPrintsTheCommandThatContinuesTheRun) {
  const std::string prefix = folder / "it's here";
  EXPECT_EQ(interrupted(folder, SIGINT,
                        {"--quiet", "--set=snapshot_prefix=" + prefix, "--set=max_iter=100000000",
                         "--noquiet"}),
            0);
  const std::string log = read_file(folder / "log");
  EXPECT_TRUE(std::regex_search(
      log, std::regex("\nCtrl-C: finishing iteration \\d+, then writing a snapshot and stopping; "
                      "press Ctrl-C again to stop at once\n")))
      << log;
  const std::string sign = ". To continue from the last snapshot:\n";
  ASSERT_TRUE(contains(log, sign)) << log;
  const std::size_t at = log.find(sign) + sign.size();
  const std::string command = log.substr(at, log.find('\n', at) - at);
  EXPECT_TRUE(contains(command, " '--set=snapshot_prefix=" + folder / "it'\\''s here'")) << command;
  const Outcome again = run_doppio({"-c", command + " --set=max_iter=1"}, "/bin/sh");
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_TRUE(contains(again.err, "Resuming from " + prefix + "_iter_")) << again.err;
}

TEST_F(Train, AFinishedRunThatIsResumedSaysSo) {
  ASSERT_EQ(run_doppio(folder.train({"--set", "max_iter=3"})).exit_code, 0);
  const std::string state = folder / "noise_iter_3.solverstate";
  const Outcome r =
      run_doppio(folder.train({"--quiet", "--set", "max_iter=3", "--snapshot", state}));
  EXPECT_EQ(r.exit_code, 0);
  EXPECT_TRUE(contains(r.err, state + " is of iteration 3, and the run ends at max_iter 3: nothing "
                                      "is left to train; --set max_iter=N with a larger N trains "
                                      "longer\n"))
      << r.err;
}

TEST_F(Train, ResumeFindsTheNewestWholeSnapshot) {
  const auto train = [&](int iterations, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"--resume", "--set", "max_iter=" + std::to_string(iterations)});
    const Outcome r = run_doppio(folder.train(more));
    EXPECT_EQ(r.exit_code, 0) << r.err;
    return r.err;
  };
  EXPECT_TRUE(contains(train(4), "there is no snapshot yet, so training starts anew"));
  EXPECT_TRUE(contains(train(6), "Resuming from " + folder / "noise_iter_4.solverstate"));
  const std::string finished = train(6);
  EXPECT_TRUE(contains(finished, "nothing is left to train")) << finished;
  EXPECT_FALSE(contains(finished, "Starting Optimization")) << finished;

  const std::string model = folder / "noise_iter_6.caffemodel", whole = read_file(model);
  std::filesystem::resize_file(model, whole.size() / 2);  // as of a machine that lost power
  const std::string log = train(6);
  EXPECT_TRUE(contains(log, "noise_iter_6.solverstate is not a whole snapshot")) << log;
  EXPECT_TRUE(contains(log, "Resuming from " + folder / "noise_iter_4.solverstate")) << log;
  EXPECT_TRUE(read_file(model) == whole);

  const Outcome both = run_doppio(folder.train({"--resume", "--snapshot=x.solverstate"}));
  EXPECT_EQ(both.exit_code, 2);
  EXPECT_TRUE(contains(both.err, "leave either it or --snapshot out")) << both.err;
}

TEST_F(Train, SaysThatTestIterReadsTheSetSeveralTimes) {
  const Outcome r = run_doppio(folder.train({"--set", "max_iter=6", "--set", "test_iter=10"}));
  EXPECT_EQ(lines_with(r.err, "test_iter 10 x batch 4: 40 images are 3.077 passes over 13").size(),
            1u)
      << r.err;
  EXPECT_FALSE(contains(run_doppio(folder.train({"--set", "max_iter=1"})).err, "passes over"));
}

TEST_F(Train, SigintStopsAsTold) {
  EXPECT_EQ(interrupted(folder, SIGINT, {"--set", "snapshot_after_train=false"}), 0);
  EXPECT_TRUE(folder.files_with(".solverstate").empty());
  EXPECT_TRUE(contains(read_file(folder / "log"), "Optimization stopped early."));
  EXPECT_TRUE(contains(read_file(folder / "log"), ", then stopping without a snapshot"));
}

TEST_F(Train, SeveralGpusShareTheBatch) {
  const std::string devices = run_doppio({"devices"}).out;
  if (!contains(devices, "GPU 1: ")) GTEST_SKIP() << "this machine has no two GPUs: " << devices;
  const std::vector<std::string> even = {"--set", "data.batch_size=4", "--set", "max_iter=6"};
  std::vector<std::string> losses;
  for (const char* gpus : {"--gpu=0,1", "--gpu=all"}) {
    std::vector<std::string> arguments = even;
    arguments.push_back(gpus);
    const Outcome r = run_doppio(folder.train(arguments));
    ASSERT_EQ(r.exit_code, 0) << r.err;
    EXPECT_TRUE(contains(r.err, "Trained on 24 images")) << r.err;
    for (const std::string& line : lines_with(r.err, "net output #0")) losses.push_back(line);
  }
  EXPECT_EQ(losses.size(), 2u * (3 + 2)) << "three iterations and two tests each";
  const Outcome odd = run_doppio(folder.train({"--gpu=0,1"}));
  EXPECT_EQ(odd.exit_code, 1);
  EXPECT_TRUE(contains(odd.err, "net.prototxt:4:")) << odd.err;
  EXPECT_TRUE(contains(odd.err, "cannot be divided evenly among 2; 4 or 6 can")) << odd.err;
}

}  // namespace
}  // namespace doppio
