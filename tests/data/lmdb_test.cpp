#include "data/lmdb.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include "support/layer_harness.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

namespace fs = std::filesystem;

class Lmdb : public testing::Test {
 protected:
  /// A database with records "0".."n-1" whose values are "v0".."v(n-1)".
  std::string make(int n, const std::string& name = "lmdb") {
    const std::string path = folder / name;
    LmdbWriter writer(path);
    for (int i = 0; i < n; ++i) writer.put(str(i), str("v", i));
    writer.finish();
    return path;
  }
  ScratchFolder folder;
};

TEST_F(Lmdb, ReadsInKeyOrderAndWraps) {
  LmdbReader reader(make(3));
  EXPECT_EQ(reader.size(), 3);
  for (const char* key : {"0", "1", "2", "0", "1"}) {
    const Record record = reader.next();
    EXPECT_EQ(record.key, key);
    EXPECT_EQ(record.value, str("v", key));
  }
  EXPECT_EQ(reader.position(), 2);
}

TEST_F(Lmdb, SeeksForwardAndBack) {
  LmdbReader reader(make(8));
  for (const Index k : {5, 2, 2, 7, 0, 6}) {
    reader.seek(k);
    EXPECT_EQ(reader.position(), k);
    EXPECT_EQ(reader.next().key, str(k));
    EXPECT_EQ(reader.next().key, str((k + 1) % 8));
  }
  EXPECT_THROW(reader.seek(8), InternalError);
}

TEST_F(Lmdb, ServesSeveralReadersOfOneDatabase) {
  const std::string path = make(2);
  LmdbReader a(path);
  a.next();
  {
    LmdbReader b(path);
    EXPECT_EQ(b.next().value, "v0");
  }
  EXPECT_EQ(a.next().value, "v1");
}

TEST_F(Lmdb, GrowsBeyondTheFirstMap) {
  const std::string path = folder / "large";
  LmdbWriter writer(path);
  const std::string value(1 << 20, 'x');
  for (int i = 0; i < 40; ++i) writer.put(str(1000 + i), value);
  writer.finish();
  LmdbReader reader(path);
  EXPECT_EQ(reader.size(), 40);
  reader.seek(39);
  EXPECT_EQ(reader.next().value, value);
}

TEST_F(Lmdb, CommitsEveryThousandRecords) {
  const std::string path = folder / "lmdb";
  {
    LmdbWriter writer(path);
    for (int i = 0; i < 2500; ++i) writer.put(str(i), "v");
  }
  EXPECT_EQ(LmdbReader(path).size(), 2000);
}

/// Runs `action` in a child process that may not write to `path`; true if it returned true.
bool without_write_permission(const std::string& path, const std::function<bool()>& action) {
  fs::permissions(path, fs::perms(0555));
  const pid_t child = fork();
  if (child == 0) {
    if (geteuid() == 0 && setuid(65534) != 0) _exit(2);
    bool ok = false;
    try {
      ok = action();
    } catch (const std::exception& e) {
      std::fprintf(stderr, "%s\n", e.what());
    }
    _exit(ok ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  fs::permissions(path, fs::perms(0755));
  return status == 0;
}

TEST_F(Lmdb, ReadsWithoutWritePermission) {
  const std::string path = make(2);
  fs::permissions(folder / "", fs::perms(0755));
  const auto reads = [&] { return LmdbReader(path).next().value == "v0"; };
  fs::permissions(path + "/lock.mdb", fs::perms(0444));
  EXPECT_TRUE(without_write_permission(path, reads));
  fs::remove(path + "/lock.mdb");
  EXPECT_TRUE(without_write_permission(path, reads));
  EXPECT_FALSE(fs::exists(path + "/lock.mdb"));
}

TEST_F(Lmdb, SaysHowToMakeAMissingDatabase) {
  EXPECT_EQ(error_of([&] { LmdbReader(folder / "no_lmdb"); }),
            "no database at " + folder / "no_lmdb");
  EXPECT_EQ(error_of([&] { LmdbReader("no_lmdb"); }),
            "no database at no_lmdb (seen from " + fs::current_path().string() + ")");
  folder.write("get.sh", "");
  EXPECT_EQ(error_of([&] { LmdbReader(folder / "no_lmdb"); }),
            "no database at " + folder / "no_lmdb" + "; make it with " + folder / "get.sh");
  EXPECT_TRUE(contains(error_of([&] { LmdbReader(folder / "get.sh"); }), "that is a file"));
}

TEST_F(Lmdb, RefusesWhatIsNoDatabase) {
  fs::create_directory(folder / "fake");
  for (const std::string& contents : {std::string(), std::string("text"), std::string(8192, 'x')}) {
    folder.write("fake/data.mdb", contents);
    EXPECT_TRUE(contains(error_of([&] { LmdbReader(folder / "fake"); }),
                         folder / "fake" + "/data.mdb is not an LMDB database"));
  }
}

TEST_F(Lmdb, RefusesAnEmptyDatabase) {
  EXPECT_EQ(error_of([&] { LmdbReader(make(0)); }),
            "the database " + folder / "lmdb" + " has no records");
}

TEST_F(Lmdb, RefusesATruncatedDatabase) {
  const std::string path = make(2000);
  const auto bytes = fs::file_size(path + "/data.mdb");
  fs::resize_file(path + "/data.mdb", bytes - 4096);
  EXPECT_TRUE(contains(error_of([&] { LmdbReader reader(path); }),
                       str("is truncated: data.mdb has ", bytes - 4096)));
}

TEST_F(Lmdb, RefusesAnImpossiblePageSize) {
  const std::string path = make(1);
  for (const long meta : {0, 4096}) {
    std::fstream file(path + "/data.mdb", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(meta + 40);
    file.write("\0\0\0\0", 4);
    file.close();
    EXPECT_TRUE(contains(error_of([&] { LmdbReader reader(path); }), "or it is damaged"));
    file.open(path + "/data.mdb", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(meta + 40);
    file.write("\0\x10\0\0", 4);
  }
}

TEST_F(Lmdb, WriterReplacesOnlyWhenTold) {
  const std::string path = make(3);
  EXPECT_TRUE(contains(error_of([&] { LmdbWriter writer(path); }), path + " exists already"));
  {
    LmdbWriter writer(path, true);
    writer.put("a", "b");
    writer.finish();
  }
  EXPECT_EQ(LmdbReader(path).size(), 1);
  const std::string file = folder.write("file", "");
  EXPECT_TRUE(contains(error_of([&] { LmdbWriter writer(file, true); }), "is a file"));
  EXPECT_TRUE(contains(error_of([&] { LmdbWriter writer(folder / "no/db"); }), "No such file"));
}

TEST_F(Lmdb, WriterNamesBadKeys) {
  LmdbWriter writer(folder / "lmdb");
  EXPECT_TRUE(contains(error_of([&] { writer.put("", "v"); }), "takes keys of 1 to 511 bytes"));
  const std::string long_key(512, 'k');
  EXPECT_TRUE(contains(error_of([&] { writer.put(long_key, "v"); }), "has 512"));
  writer.put("a", "1");
  writer.put("a", "2");
  EXPECT_TRUE(contains(error_of([&] { writer.finish(); }), "has a record 'a' already"));
}

TEST_F(Lmdb, SaysHowMuchRoomIsMissing) {
  EXPECT_NO_THROW(require_space(folder / "", 1));
  const std::string message = error_of([&] { require_space(folder / "", std::uint64_t{1} << 62); });
  EXPECT_TRUE(contains(message, "4611686018427387904 bytes are to be written"));
  EXPECT_TRUE(contains(message, "are missing"));
}

}  // namespace
}  // namespace doppio
