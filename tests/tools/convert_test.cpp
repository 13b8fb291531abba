// `doppio convert` and `doppio mean`: the effect of flags. The library has tests of its own.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>

#include "data/image/datum.hpp"
#include "data/image/mean_file.hpp"
#include "data/storage/leveldb.hpp"
#include "data/storage/lmdb.hpp"
#include "io/input_file.hpp"
#include "support/scratch_folder.hpp"
#include "tools/run_command.hpp"

namespace doppio {
namespace {

/// Returns an idx file: a magic number, sizes (all big-endian), and bytes.
std::string idx(int axes, const std::vector<int>& sizes, const std::string& bytes) {
  std::string file{0, 0, 8, static_cast<char>(axes)};
  for (const int size : sizes) file += {0, 0, 0, static_cast<char>(size)};
  return file + bytes;
}

class Convert : public testing::Test {
 protected:
  Convert() {
    cv::imwrite(folder / "a.png", cv::Mat(4, 6, CV_8UC3, cv::Scalar(10, 20, 30)));
    cv::imwrite(folder / "b.png", cv::Mat(8, 8, CV_8UC3, cv::Scalar(30, 40, 50)));
    folder.write("c.png", "no image");
    folder.write("good.txt", "a.png 3\nb.png 7\n");
    folder.write("bad.txt", "a.png 3\nc.png 1\nb.png 7\n");
  }

  std::vector<std::string> imageset(const std::string& list,
                                    const std::vector<std::string>& flags) const {
    std::vector<std::string> arguments = {"convert", "imageset", folder / "", folder / list,
                                          folder / "db"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    return arguments;
  }

  ScratchFolder folder;
};

TEST_F(Convert, ImagesetStoresResizedImages) {
  const Outcome r =
      run_doppio(imageset("good.txt", {"-resize_height=2", "-resize_width", "3", "-gray=false"}));
  ASSERT_EQ(r.exit_code, 0) << r.err;
  EXPECT_TRUE(contains(r.err, "] Processed 2 files, skipped 0.\n")) << r.err;
  LmdbReader reader(folder / "db");
  ASSERT_EQ(reader.size(), 2);
  DatumReader datum;
  const Record record = reader.next();
  EXPECT_EQ(record.key, "00000000_a.png");
  const Image image = datum.read(record.value);
  EXPECT_EQ(image.shape(), (Shape{3, 2, 3}));
  EXPECT_EQ(image.label, 3);
  EXPECT_EQ(image.bytes[0], 10);
}

TEST_F(Convert, ImagesetFailsOrSkips) {
  const Outcome fail = run_doppio(imageset("bad.txt", {"--quiet"}));
  EXPECT_EQ(fail.exit_code, 1);
  EXPECT_TRUE(contains(fail.err, "c.png")) << fail.err;
  EXPECT_FALSE(is_lmdb(folder / "db"));
  const Outcome skip = run_doppio(imageset("bad.txt", {"--on_error=skip", "--gray"}));
  EXPECT_EQ(skip.exit_code, 0) << skip.err;
  EXPECT_TRUE(contains(skip.err, "c.png")) << skip.err;
  EXPECT_TRUE(contains(skip.err, "] Processed 2 files, skipped 1.\n")) << skip.err;
  const Outcome again = run_doppio(imageset("good.txt", {"--quiet"}));
  EXPECT_EQ(again.exit_code, 1);
  EXPECT_TRUE(contains(again.err, "exists already")) << again.err;
  EXPECT_EQ(run_doppio(imageset("good.txt", {"--overwrite"})).exit_code, 0);
}

TEST_F(Convert, ImagesetResumesInAnyFormat) {
  const std::vector<std::string> flags = {"--backend=leveldb", "--resume"};
  EXPECT_EQ(run_doppio(imageset("good.txt", flags)).exit_code, 0);
  EXPECT_TRUE(is_leveldb(folder / "db"));
  folder.write("more.txt", "a.png 3\nb.png 7\na.png 5\n");
  const Outcome more = run_doppio(imageset("more.txt", flags));
  EXPECT_EQ(more.exit_code, 0);
  EXPECT_TRUE(contains(more.err, "] Resumed after image 2 of 3.\n")) << more.err;
  EXPECT_TRUE(contains(more.err, "] Processed 1 files, skipped 0.\n")) << more.err;
  const Outcome again = run_doppio(imageset("more.txt", flags));
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_TRUE(contains(again.err, "] Nothing is left to do: all 3 images of the list are in "))
      << again.err;
}

/// Converts many images, sends `signal` after the start, and returns the exit code.
int interrupted(const std::vector<std::string>& arguments, int signal, const std::string& database,
                const std::string& log) {
  const int process = start_doppio(arguments, log);
  while (!std::filesystem::exists(database + ".partial/UNFINISHED")) usleep(1000);
  usleep(100'000);
  kill(process, signal);
  return wait_for(process);
}

TEST_F(Convert, AnInterruptedConversionIsRefusedAndContinued) {
  std::string list;
  for (int i = 0; i < 20'000; ++i) list += "b.png 7\n";
  folder.write("long.txt", list);
  const std::string db = folder / "db", log = folder / "log";
  for (const int signal : {SIGKILL, SIGINT, SIGTERM}) {
    const auto arguments =
        imageset("long.txt", {"--resize_height=32", "--resize_width=32", "--shuffle", "--seed=3"});
    EXPECT_EQ(interrupted(arguments, signal, db, log), 128 + signal) << read_file(log);
    if (signal != SIGKILL) {
      EXPECT_TRUE(contains(read_file(log), " of 20000 images; to continue:\n  ")) << read_file(log);
      EXPECT_TRUE(contains(read_file(log), "/db --resume\n")) << read_file(log);
    }
    for (const std::string& given : {db, db + ".partial"}) {
      const Outcome refused = run_doppio({"mean", given});
      EXPECT_EQ(refused.exit_code, 1);
      EXPECT_TRUE(contains(refused.err, "is not finished")) << refused.err;
      EXPECT_TRUE(contains(refused.err, "--resume")) << refused.err;
    }
    auto resumed = arguments;
    resumed.push_back("--resume");
    EXPECT_EQ(run_doppio(resumed).exit_code, 0);
    EXPECT_EQ(LmdbReader(db).size(), 20'000);
    EXPECT_FALSE(std::filesystem::exists(db + ".partial"));
    std::filesystem::remove_all(db);
  }
}

TEST_F(Convert, AFailedReplacementLeavesTheOldDatabase) {
  ASSERT_EQ(run_doppio(imageset("good.txt", {})).exit_code, 0);
  EXPECT_EQ(run_doppio(imageset("bad.txt", {"--overwrite"})).exit_code, 1);
  EXPECT_EQ(LmdbReader(folder / "db").size(), 2);
  folder.write("db/notes.txt", "mine");
  const Outcome foreign = run_doppio(imageset("good.txt", {"--overwrite"}));
  EXPECT_EQ(foreign.exit_code, 1);
  EXPECT_TRUE(contains(foreign.err, "notes.txt")) << foreign.err;
  EXPECT_TRUE(std::filesystem::exists(folder / "db/notes.txt"));
}

TEST_F(Convert, AFullDiskIsAnErrorThatLeavesNothing) {
  std::string list;
  for (int i = 0; i < 300; ++i) list += "b.png 7\n";
  folder.write("long.txt", list);
  for (const char* backend : {"lmdb", "leveldb"})
    for (const long room : {5000L, 9000L, 60'000L, 150'000L}) {
      const Outcome r = run_doppio(imageset("long.txt", {str("--backend=", backend)}), {}, room);
      if (r.exit_code == 0) {  // each of LevelDB's files may have been within the limit
        EXPECT_EQ(open_database(folder / "db")->size(), 300);
        std::filesystem::remove_all(folder / "db");
      } else {
        EXPECT_EQ(r.exit_code, 1) << backend << ' ' << room << ": " << r.err;
        EXPECT_TRUE(contains(r.err, "cannot ")) << r.err;
        EXPECT_TRUE(contains(r.err, folder / "db")) << r.err;
      }
      EXPECT_FALSE(std::filesystem::exists(folder / "db"));
      EXPECT_FALSE(std::filesystem::exists(folder / "db.partial"));
    }
}

TEST_F(Convert, ImagesetRefusesBadFlags) {
  const Outcome r = run_doppio(imageset("good.txt", {"--on_error=ignore"}));
  EXPECT_EQ(r.exit_code, 2);
  EXPECT_TRUE(contains(r.err, "expected fail or skip")) << r.err;
  EXPECT_EQ(run_doppio(imageset("good.txt", {"--backend=sqlite"})).exit_code, 1);
  EXPECT_EQ(run_doppio({"convert", "imageset", folder / ""}).exit_code, 2);
  const Outcome half = run_doppio({"convert"});
  EXPECT_EQ(half.exit_code, 2);
  EXPECT_TRUE(contains(half.err,
                       "needs one more word:\n  doppio convert imageset\n  doppio convert "
                       "annotations\n  doppio convert idx\n"))
      << half.err;
}

TEST_F(Convert, ImagesetLogsTheSeedOfAShuffle) {
  const Outcome r = run_doppio(imageset("good.txt", {"--shuffle", "--seed=5"}));
  EXPECT_EQ(r.exit_code, 0);
  EXPECT_TRUE(contains(r.err, "--seed=5\n")) << r.err;
}

TEST_F(Convert, IdxAndMean) {
  const std::string images = folder.write("images", idx(3, {2, 1, 2}, {1, 2, 5, 8}));
  const std::string labels = folder.write("labels", idx(1, {2}, {4, 9}));
  const Outcome r = run_doppio(
      {"convert", "idx", "--images=" + images, "--labels=" + labels, folder / "idx_lmdb"});
  ASSERT_EQ(r.exit_code, 0) << r.err;
  EXPECT_TRUE(contains(r.err, "] Processed 2 images.\n")) << r.err;
  LmdbReader reader(folder / "idx_lmdb");
  reader.next();
  DatumReader datum;
  EXPECT_EQ(datum.read(reader.next().value).label, 9);

  const Outcome mean = run_doppio({"mean", folder / "idx_lmdb", folder / "mean.binaryproto"});
  ASSERT_EQ(mean.exit_code, 0) << mean.err;
  EXPECT_EQ(mean.out, "mean_value channel [0]: 4\n");
  EXPECT_EQ(read_mean_file(folder / "mean.binaryproto").values, (std::vector<float>{3, 5}));

  const std::string inside = folder / "idx_lmdb/data.mdb", twice = folder / "m";
  EXPECT_TRUE(
      contains(run_doppio({"mean", folder / "idx_lmdb", inside}).err, "within the database"));
  EXPECT_TRUE(contains(run_doppio({"mean", folder / "idx_lmdb", folder / ""}).err, "is a folder"));
  EXPECT_TRUE(contains(run_doppio({"mean", folder / "idx_lmdb", twice, "--pca=" + twice}).err,
                       "need different files"));
  EXPECT_EQ(LmdbReader(folder / "idx_lmdb").size(), 2);

  EXPECT_EQ(run_doppio({"convert", "idx", "--labels=" + labels, folder / "x"}).exit_code, 2);
  const Outcome none = run_doppio({"mean", folder / "gone"});
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_TRUE(contains(none.err, "no database at ")) << none.err;
}

}  // namespace
}  // namespace doppio
