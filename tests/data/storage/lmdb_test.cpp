#include "data/storage/lmdb.hpp"

#include <lmdb.h>
#include <sys/stat.h>

#include <fstream>

#include "data/storage/lmdb_append_check.hpp"
#include "support/expect_error.hpp"
#include "support/read_only.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

namespace fs = std::filesystem;

class Lmdb : public testing::Test {
 protected:
  /// Creates a database with keys "0".."n-1" and values "v0".."v(n-1)".
  std::string make(int n, const std::string& name = "lmdb") {
    std::string path = folder / name;
    LmdbWriter writer(path);
    for (int i = 0; i < n; ++i) writer.put(str(i), str("v", i));
    writer.finish();
    return path;
  }
  /// Overwrites bytes of the file.
  static void patch(const std::string& path, std::size_t at, const std::string& bytes) {
    std::fstream file(path + "/data.mdb", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(at));
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
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
  fs::remove(path + "/lock.mdb");
  EXPECT_TRUE(
      without_write_permission(path, [&] { return LmdbReader(path).next().value == "v0"; }));
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
  EXPECT_ERROR(LmdbReader(folder / "get.sh"), "that is a file");
}

TEST_F(Lmdb, RefusesWhatIsNoDatabase) {
  fs::create_directory(folder / "fake");
  for (const std::string& contents : {std::string(), std::string("text"), std::string(8192, 'x')}) {
    folder.write("fake/data.mdb", contents);
    EXPECT_ERROR(LmdbReader(folder / "fake"),
                 folder / "fake" + "/data.mdb is not an LMDB database");
  }
}

TEST_F(Lmdb, RefusesATruncatedDatabase) {
  const std::string path = make(2000);
  const auto bytes = fs::file_size(path + "/data.mdb");
  fs::resize_file(path + "/data.mdb", bytes - 4096);
  EXPECT_ERROR(LmdbReader(path), str("is truncated: data.mdb has ", bytes - 4096));
}

TEST_F(Lmdb, RefusesAnImpossiblePageSize) {
  const std::string path = make(1);
  for (const std::size_t meta : {0, 4096}) {
    patch(path, meta + 40, std::string(4, '\0'));
    EXPECT_ERROR(LmdbReader(path), "or it is damaged");
    patch(path, meta + 40, std::string("\0\x10\0\0", 4));
  }
}

TEST_F(Lmdb, AHeadInTheOtherOnesPlaceIsAnError) {
  const std::string path = make(3);
  patch(path, 144, "\x05");  // transaction number of the first meta page, which should be even
  for (const bool write : {false, true})
    EXPECT_TRUE(contains(error_of([&] {
                           if (write) LmdbWriter(path, IfThere::append);
                           LmdbReader reader(path);
                         }),
                         "its head contradicts itself"));
}

/// Reads every record in order and by position, and runs the checks of a writer.
void use(const std::string& path) {
  for (const bool in_order : {true, false}) {
    LmdbReader reader(path);
    for (Index k = 0; k <= std::min<Index>(reader.size(), 400); ++k)
      in_order ? reader.next() : reader.at(k % reader.size());
  }
  check_lmdb_pages(LmdbFile(path));
}

TEST_F(Lmdb, WrongBytesInPagesAreErrorsAndNeverCrash) {
  const std::string path = folder / "db", good = folder / "good";
  {
    LmdbWriter writer(path);
    for (int i = 0; i < 300; ++i)
      writer.put(str(1000 + i), std::string(i % 50 == 0 ? 9000 : 30, 'v'));
    writer.finish();
  }
  LmdbWriter(path, IfThere::append).finish();
  for (int i = 0; i < 2; ++i) {  // leaves free pages
    LmdbWriter writer(path, IfThere::append);
    writer.put(str(2000 + i), "w");
    writer.finish();
  }
  use(path);
  fs::copy(path, good);
  const std::size_t pages = fs::file_size(good + "/data.mdb") / 4096;
  int refused = 0, tried = 0;
  for (std::size_t page = 0; page < pages; ++page)
    for (const std::size_t at : {0,  10, 12, 13,  14,  15,  16,  18,   40,   44,   46,   72,  80,
                                 88, 92, 94, 120, 128, 136, 144, 4040, 4088, 4090, 4092, 4094})
      for (const char byte : {'\0', '\xFF'}) {
        fs::copy_file(good + "/data.mdb", path + "/data.mdb", fs::copy_options::overwrite_existing);
        patch(path, page * 4096 + at, std::string(1, byte));
        ++tried;
        try {
          use(path);
          if (tried % 100 == 0) {
            LmdbWriter writer(path, IfThere::append);
            for (int i = 0; i < 20; ++i) writer.put(str("z", i), std::string(1000, 'z'));
            writer.finish();
          }
        } catch (const Error& e) {
          ++refused;
        }
      }
  EXPECT_GT(refused, tried / 8);  // most pages contain values, which are not checked
}

TEST_F(Lmdb, AFileThatIsCutWhileItIsReadIsAnError) {
  const std::string path = make(2000);
  LmdbReader reader(path);
  reader.next();
  fs::resize_file(path + "/data.mdb", 3 * 4096);
  const std::string error = error_of([&] {
    for (int i = 0; i < 2000; ++i) reader.next();
  });
  EXPECT_TRUE(contains(error, path + "/data.mdb was cut to 12288 bytes while it was being read"))
      << error;
}

TEST_F(Lmdb, AFileThatIsOverwrittenWhileItIsReadIsAnError) {
  const std::string path = make(2000), other = make(3000, "other");
  LmdbReader reader(path);
  reader.next();
  fs::copy_file(other + "/data.mdb", path + "/data.mdb", fs::copy_options::overwrite_existing);
  EXPECT_TRUE(contains(error_of([&] {
                         for (int i = 0; i < 2000; ++i) reader.next();
                       }),
                       "was changed while it was being read"));
}

/// Writes records as another program may do: to the database `name` (null: the unnamed one).
void make_foreign(const std::string& path, const char* name, unsigned flags) {
  fs::create_directory(path);
  MDB_env* env = nullptr;
  MDB_txn* txn = nullptr;
  MDB_dbi dbi = 0;
  mdb_env_create(&env);
  mdb_env_set_maxdbs(env, 4);
  ASSERT_EQ(mdb_env_open(env, path.c_str(), 0, 0664), 0);
  ASSERT_EQ(mdb_txn_begin(env, nullptr, 0, &txn), 0);
  ASSERT_EQ(mdb_dbi_open(txn, name, MDB_CREATE | flags, &dbi), 0);
  char text[] = "00000000_key";
  MDB_val key{8, text}, value{4, text};
  ASSERT_EQ(mdb_put(txn, dbi, &key, &value, 0), 0);
  ASSERT_EQ(mdb_txn_commit(txn), 0);
  mdb_env_close(env);
}

TEST_F(Lmdb, NamedDatabasesAreNamedInTheError) {
  make_foreign(folder / "db", "train", 0);
  EXPECT_ERROR(LmdbReader(folder / "db"),
               "has named databases (train); only the unnamed one is read");
}

TEST_F(Lmdb, RefusesSeveralValuesOfAKeyAndForeignOrders) {
  make_foreign(folder / "dup", nullptr, MDB_DUPSORT);
  EXPECT_ERROR(LmdbReader(folder / "dup"), "MDB_DUPSORT");
  make_foreign(folder / "integers", nullptr, MDB_INTEGERKEY);
  EXPECT_EQ(LmdbReader(folder / "integers").next().key, "00000000");
  EXPECT_ERROR(LmdbWriter(folder / "integers", IfThere::append), "records cannot be added to it");
  EXPECT_EQ(LmdbReader(folder / "integers").size(), 1);
}

TEST_F(Lmdb, ItsLockFileTakesItsRoomBeforeItIsMapped) {
  const std::string path = make(1);
  struct stat file {};
  ASSERT_EQ(stat((path + "/lock.mdb").c_str(), &file), 0);
  EXPECT_GE(file.st_blocks * 512, 8192) << "a hole would be filled on a full disk, by SIGBUS";
}

}  // namespace
}  // namespace doppio
