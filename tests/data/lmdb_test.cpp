#include "data/lmdb.hpp"

#include "support/layer_harness.hpp"
#include "support/read_only.hpp"
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

}  // namespace
}  // namespace doppio
