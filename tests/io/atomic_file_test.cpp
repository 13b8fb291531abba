#include "io/atomic_file.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "support/expect_error.hpp"

namespace doppio {
namespace {

namespace fs = std::filesystem;

class AtomicFile : public testing::Test {
 protected:
  AtomicFile() {
    std::string pattern = (fs::temp_directory_path() / "atomic_file_XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    path_ = folder_ / "weights";
    std::ofstream(path_) << "old";
  }
  ~AtomicFile() override {
    set_file_step_hook({});
    fs::permissions(folder_, fs::perms::owner_all);
    fs::remove_all(folder_);
  }

  std::string contents() const {
    std::ifstream in(path_);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  int files() const { return static_cast<int>(std::distance(fs::directory_iterator(folder_), {})); }

  fs::path folder_, path_;
};

/// Fails `step` with `error` at its `nth` time.
void fail_at(FileStep step, int error, int nth = 1) {
  set_file_step_hook(
      [=, n = 0](FileStep s) mutable { return s == step && ++n == nth ? error : 0; });
}

void write_new(std::ostream& out) { out << "new"; }

TEST_F(AtomicFile, ReplacesTheOldFileAndLeavesNothingElse) {
  write_file_atomically(path_, write_new);
  EXPECT_EQ(contents(), "new");
  EXPECT_EQ(files(), 1);
}

TEST_F(AtomicFile, HoldsMoreThanItsBuffer) {
  const std::string big(3 << 20, 'x');
  write_file_atomically(path_, [&](std::ostream& out) { out << big << 'y'; });
  EXPECT_EQ(contents(), big + 'y');
}

TEST_F(AtomicFile, AcceptsANameWithoutFolder) {
  const fs::path before = fs::current_path();
  fs::current_path(folder_);
  write_file_atomically("weights", write_new);
  fs::current_path(before);
  EXPECT_EQ(contents(), "new");
}

TEST_F(AtomicFile, KeepsTheOldFileWhenAStepFails) {
  for (const FileStep step : {FileStep::open, FileStep::write, FileStep::sync, FileStep::rename}) {
    fail_at(step, EIO);
    EXPECT_ERROR(write_file_atomically(path_, write_new), path_.string() + "': Input/output error");
    EXPECT_EQ(contents(), "old");
    EXPECT_EQ(files(), 1);
  }
}

TEST_F(AtomicFile, ReportsAFolderThatCannotBeSyncedWithTheNewFileInPlace) {
  fail_at(FileStep::sync_folder, EIO);
  EXPECT_ERROR(write_file_atomically(path_, write_new), "cannot sync folder '" + folder_.string());
  EXPECT_EQ(contents(), "new");
}

TEST_F(AtomicFile, SaysWhatToDoWhenTheDiskIsFull) {
  fail_at(FileStep::write, ENOSPC, 2);  // after a first megabyte
  EXPECT_ERROR(
      write_file_atomically(path_, [](std::ostream& o) { o << std::string(3 << 20, 'x'); }),
      "No space left on device; free some space");
  EXPECT_EQ(contents(), "old");
}

TEST_F(AtomicFile, KeepsTheOldFileWhenTheWriterGivesUp) {
  EXPECT_THROW(write_file_atomically(path_, [](std::ostream&) { throw Error("no weights"); }),
               Error);
  EXPECT_ERROR(write_file_atomically(path_, [](std::ostream& o) { o.setstate(std::ios::failbit); }),
               "could not be produced");
  EXPECT_EQ(contents(), "old");
  EXPECT_EQ(files(), 1);
}

TEST_F(AtomicFile, IsWholeWhereverTheProcessIsKilled) {
  const std::string big(3 << 20, 'n');
  int killed = 0;
  for (int nth = 1;; ++nth) {
    std::ofstream(path_, std::ios::trunc) << "old";
    const pid_t child = ::fork();
    if (child == 0) {
      set_file_step_hook([=, n = 0](FileStep) mutable {
        if (++n == nth) ::_exit(7);
        return 0;
      });
      write_file_atomically(path_, [&](std::ostream& out) { out << big; });
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    const std::string now = contents();
    EXPECT_TRUE(now == "old" || now == big) << "killed at step " << nth;
    if (WEXITSTATUS(status) == 0) break;
    ++killed;
  }
  EXPECT_GE(killed, 6);  // open, three writes, sync, rename, sync_folder
  EXPECT_EQ(contents(), big);
}

TEST_F(AtomicFile, RemovesWhatAKilledWriterLeft) {
  const pid_t child = ::fork();
  if (child == 0) {
    set_file_step_hook([](FileStep step) {
      if (step == FileStep::sync) ::_exit(7);
      return 0;
    });
    write_file_atomically(path_, write_new);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(files(), 2);
  std::ofstream(path_.string() + ".partial-notes") << "the user's";
  std::ofstream(folder_ / "other.partial-12ab") << "another file's";

  write_file_atomically(path_, write_new);
  EXPECT_EQ(files(), 3);
  require_writable(folder_ / "oth");
  EXPECT_EQ(files(), 2);
}

TEST_F(AtomicFile, LeavesTheTemporaryFileOfARunningWriter) {
  write_file_atomically(path_, [&](std::ostream& out) {
    out << "outer";
    write_file_atomically(path_, write_new);  // as another process would
    EXPECT_EQ(files(), 2);
  });
  EXPECT_EQ(contents(), "outer");
}

TEST_F(AtomicFile, LetsALibraryWriteByName) {
  write_named_file_atomically(path_,
                              [](const std::string& name) { std::ofstream(name) << "named"; });
  EXPECT_EQ(contents(), "named");
  fail_at(FileStep::write, ENOSPC);
  EXPECT_THROW(write_named_file_atomically(path_, [](const std::string&) {}), Error);
  EXPECT_EQ(contents(), "named");
  EXPECT_EQ(files(), 1);
}

TEST_F(AtomicFile, ProbesAPrefix) {
  require_writable(folder_ / "lenet");
  EXPECT_EQ(files(), 1);
  EXPECT_ERROR(require_writable(folder_ / "none/lenet"),
               "No such file or directory; create folder '");
  fail_at(FileStep::open, EACCES);
  EXPECT_ERROR(require_writable(folder_ / "lenet"), "Permission denied; make folder '");
}

}  // namespace
}  // namespace doppio
