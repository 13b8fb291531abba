// Invalid files for `doppio train`: one clear message, exit code 1, and no loss of data.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "data/image/image_file.hpp"
#include "data/storage/lmdb.hpp"
#include "doppio/context.hpp"
#include "io/input_file.hpp"
#include "tools/training_folder.hpp"

namespace doppio {
namespace {

class Mistakes : public testing::Test {
 protected:
  /// Expects that training fails with the single message `message`. FOLDER stands for the folder.
  void expect_error(std::string message, std::vector<std::string> more = {}) const {
    more.push_back("--quiet");
    const Outcome r = run_doppio(folder.train(more));
    EXPECT_EQ(r.exit_code, 1);
    EXPECT_EQ(r.out, "");
    for (std::size_t at; (at = message.find("FOLDER/")) != message.npos;)
      message.replace(at, 7, folder / "");
    EXPECT_EQ(r.err, message + "\n");
    EXPECT_TRUE(folder.files_with(".partial").empty());
  }

  TrainingFolder folder;
};

TEST_F(Mistakes, MisspeltField) {
  folder.write_net("kernel_size", "kernelsize");
  expect_error(
      "FOLDER/net.prototxt:11:37: error: ConvolutionParameter has no field 'kernelsize'; "
      "did you mean 'kernel_size'?");
}

TEST_F(Mistakes, MisspeltFieldOfTheSolver) {
  folder.write("solver.prototxt", "net: \"x\"\nbase_rl: 1\n");
  expect_error(
      "FOLDER/solver.prototxt:2:1: error: SolverParameter has no field 'base_rl'; did you "
      "mean 'base_lr'?");
}

TEST_F(Mistakes, UnknownLayerType) {
  folder.write_net("type: \"ReLU\"", "type: \"RelU6\"");
  expect_error(
      "FOLDER/net.prototxt:13:23: error: layer 'relu1' (RelU6): unknown layer type "
      "'RelU6'; did you mean 'ReLU6'?; `doppio layers` lists the known types");
}

TEST_F(Mistakes, WrongBottom) {
  folder.write_net("type: \"ReLU\" bottom: \"conv1\"", "type: \"ReLU\" bottom: \"cnov1\"");
  expect_error(
      "FOLDER/net.prototxt:13:36: error: layer 'relu1' (ReLU): unknown bottom 'cnov1'; did "
      "you mean 'conv1'?");
}

TEST_F(Mistakes, BatchSizeOfZero) {
  folder.write_net("batch_size: 5", "batch_size: 0");
  expect_error(
      "FOLDER/net.prototxt:4:16: error: layer 'data' (Data): batch_size must be at least 1");
}

TEST_F(Mistakes, BatchSizeOfZeroByAFlag) {
  expect_error(
      "--set train:data.batch_size=0: error: layer 'data' (Data): batch_size must be at "
      "least 1",
      {"--set", "train:data.batch_size=0"});
}

TEST_F(Mistakes, KernelLargerThanTheInput) {
  folder.write_net("kernel_size: 3", "kernel_size: 9");
  expect_error(
      "FOLDER/net.prototxt:11:37: error: layer 'conv1' (Convolution): kernel 9 x 9 exceeds "
      "the padded input 6 x 6\n    bottom 'data': 5 x 3 x 6 x 6");
}

TEST_F(Mistakes, ShapesThatDoNotFit) {
  folder.write_net("bottom: \"ip\" bottom: \"label\" top: \"loss\"",
                   "bottom: \"ip\" bottom: \"conv1\" top: \"loss\"");
  expect_error(
      "FOLDER/net.prototxt:21:1: error: layer 'loss' (SoftmaxWithLoss): predictions of 5 x "
      "4 over 4 classes need 5 labels, one per item, not 5 x 4 x 4 x 4\n"
      "    bottom 'ip': 5 x 4\n    bottom 'conv1': 5 x 4 x 4 x 4");
}

TEST_F(Mistakes, MissingDatabaseNamesTheScriptThatMakesIt) {
  folder.write("get.sh", "");
  folder.write_net("train_lmdb", "trian_lmdb");
  expect_error(
      "FOLDER/net.prototxt:4:44: error: layer 'data' (Data): no database at FOLDER/trian_lmdb; "
      "make "
      "it with FOLDER/get.sh");
}

TEST_F(Mistakes, EmptyDatabase) {
  LmdbWriter(folder / "empty_lmdb").finish();
  folder.write_net("train_lmdb", "empty_lmdb");
  expect_error(
      "FOLDER/net.prototxt:4:44: error: layer 'data' (Data): the database FOLDER/empty_lmdb has no "
      "records");
}

TEST_F(Mistakes, LabelOutOfRange) {
  write_database(folder / "bad_lmdb", {0, 1, 2, 3, 4}, 1);
  folder.write_net("train_lmdb", "bad_lmdb");
  expect_error(
      "FOLDER/net.prototxt:21:1: error: layer 'loss' (SoftmaxWithLoss): label 4 at item 4 is out "
      "of range for 4 classes\n    item 4 of 'data': database FOLDER/bad_lmdb, record '1004'\n"
      "    bottom 'ip': 5 x 4\n    bottom 'label': 5");
}

TEST_F(Mistakes, MissingNet) {
  unlink((folder / "net.prototxt").c_str());
  expect_error(
      "FOLDER/solver.prototxt:1:1: error: cannot read FOLDER/net.prototxt: No such file or "
      "directory (working directory " +
      std::filesystem::current_path().string() + ")");
}

TEST_F(Mistakes, GpuWithoutOne) {
  if (built_with_cuda()) GTEST_SKIP() << "this build has CUDA";
  expect_error(
      "--set solver_mode=GPU: error: solver_mode is GPU, but this build has no CUDA; --set "
      "solver_mode=CPU trains on the CPU",
      {"--set", "solver_mode=GPU"});
}

TEST_F(Mistakes, TruncatedCaffemodel) {
  ASSERT_EQ(run_doppio(folder.train({"--set", "max_iter=1"})).exit_code, 0);
  const std::string whole = read_file(folder / "noise_iter_1.caffemodel");
  folder.write("cut.caffemodel", whole.substr(0, whole.size() - 7));
  expect_error(
      "doppio: error: FOLDER/cut.caffemodel is damaged: its contents differ from its checksum, so "
      "it was cut short or changed after it was written; use another copy, or an earlier snapshot",
      {"--weights=" + folder / "cut.caffemodel"});
}

TEST_F(Mistakes, TruncatedSolverstate) {
  ASSERT_EQ(run_doppio(folder.train({"--set", "max_iter=1"})).exit_code, 0);
  const std::string whole = read_file(folder / "noise_iter_1.solverstate");
  folder.write("cut.solverstate", whole.substr(0, whole.size() - 7));
  expect_error(
      "doppio: error: FOLDER/cut.solverstate is damaged: its contents differ from its checksum, so "
      "it was cut short or changed after it was written; use another copy, or an earlier snapshot",
      {"--snapshot=" + folder / "cut.solverstate"});
}

TEST_F(Mistakes, NamesThatAreTooLongAreNoInternalErrors) {
  const std::string name = std::string(300, 'a');
  const std::string net = folder / "net.prototxt";
  folder.write("long.prototxt", "layer { name: 'd' type: 'Data' top: 'd' data_param { source: '" +
                                    name + "' batch_size: 1 } }");
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"plan", "--model=" + name},
           {"time", "--model=" + folder / "long.prototxt"},
           {"test", "--model=" + net, "--weights=" + name},
           {"train", "--solver=" + name},
           folder.train({"--snapshot=" + name}),
           folder.train({"--weights=" + name}),
           folder.train({"--set", "snapshot_prefix=" + name}),
           folder.train({"--set", "net=" + name}),
           folder.train({"--log_dir=" + name}),
           {"classify", "--model=" + net, "--weights=x", "--labels=" + name, "x.png"},
           {"mean", name},
           {"mean", folder / "train_lmdb", name},
           {"mean", folder / "train_lmdb", "--pca=" + name},
           {"upgrade", name, "out"},
           {"upgrade", net, name},
           {"convert", "imageset", folder / "", name, folder / "db"},
           {"convert", "imageset", folder / "", folder.write("list.txt", name + " 1\n"), name},
           {"convert", "idx", "--images=" + name, "--labels=" + name, folder / "db"},
       }) {
    const Outcome r = run_doppio(arguments);
    EXPECT_EQ(r.exit_code, 1) << arguments[0] << ' ' << arguments.back().substr(0, 40) << r.err;
    EXPECT_FALSE(contains(r.err, "internal error")) << r.err;
  }
}

TEST_F(Mistakes, SnapshotPrefixThatCannotBeWrittenIsRefusedBeforeTraining) {
  expect_error(
      "--set snapshot_prefix=/nowhere/x: error: snapshots cannot be written: cannot create "
      "'/nowhere/x': No such file or directory; create folder '/nowhere' first",
      {"--set", "snapshot_prefix=/nowhere/x"});
}

TEST_F(Mistakes, FullDiskLosesNoEarlierSnapshot) {
  const std::vector<std::string> wide = {"--set", "ip.num_output=200", "--set", "max_iter=2"};
  ASSERT_EQ(run_doppio(folder.train(wide)).exit_code, 0);
  const std::string model = read_file(folder / "noise_iter_2.caffemodel");
  ASSERT_GT(model.size(), 40'000u);

  const Outcome r = run_doppio(folder.train({"--set", "ip.num_output=200", "--set", "max_iter=3",
                                             "--set", "snapshot=2", "--quiet"}),
                               {}, 30'000);
  EXPECT_EQ(r.exit_code, 1);
  // A failed intermediate snapshot is logged and training continues. At the end it is an error.
  EXPECT_TRUE(contains(r.err, "No snapshot of iteration 2: ")) << r.err;
  EXPECT_TRUE(contains(
      r.err, "; earlier snapshots are kept and training continues\ndoppio: error: cannot write '" +
                 folder / "noise_iter_3.caffemodel': File too large"))
      << r.err;
  EXPECT_TRUE(read_file(folder / "noise_iter_2.caffemodel") == model);
  EXPECT_TRUE(folder.files_with("partial").empty());
  EXPECT_TRUE(folder.files_with("iter_3").empty());
}

}  // namespace
}  // namespace doppio
