#include "data/storage/leveldb.hpp"

#include <leveldb/db.h>
#include <sys/file.h>

#include <random>

#include "support/expect_error.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

namespace fs = std::filesystem;

class LevelDb : public testing::Test {
 protected:
  std::string make(int n) {
    const std::string path = folder / "db";
    LevelDbWriter writer(path);
    for (int i = 0; i < n; ++i) writer.put(str(1000 + i), str("v", i));
    writer.finish();
    return path;
  }
  /// Returns the path of the file in `path` with this extension.
  static std::string file_of(const std::string& path, const std::string& ending) {
    for (const auto& file : fs::directory_iterator(path))
      if (file.path().string().ends_with(ending)) return file.path();
    return {};
  }
  ScratchFolder folder;
};

TEST_F(LevelDb, ReadsAnUnfinishedLogBesideTables) {
  const std::string path = make(3);  // stored in a log
  LevelDbWriter(path, IfThere::append).finish();
  LevelDbWriter writer(path, IfThere::append);  // opening has converted the log to a table
  ASSERT_NE(file_of(path + ".partial", ".ldb"), "");
  writer.put("2000", "late");
  writer.finish();
  LevelDbReader reader(path);
  EXPECT_EQ(reader.size(), 4);
  EXPECT_EQ(reader.at(0).value, "v0");
  EXPECT_EQ(reader.at(3).value, "late");
}

TEST_F(LevelDb, SizeIsUnknownUntilTheEndWasSeen) {
  LevelDbReader reader(make(2));
  EXPECT_EQ(reader.known_size(), 0);
  reader.next();
  reader.next();
  EXPECT_EQ(reader.known_size(), 2);
  LevelDbReader other(folder / "db");
  EXPECT_EQ(other.size(), 2);
}

TEST_F(LevelDb, ServesSeveralReaders) {
  const std::string path = make(2);
  LevelDbReader a(path), b(path);
  a.next();
  EXPECT_EQ(b.next().value, "v0");
  EXPECT_EQ(a.next().value, "v1");
}

TEST_F(LevelDb, RefusesADamagedDatabase) {
  const std::string path = make(100);
  const std::string log = file_of(path, ".log");
  ASSERT_NE(log, "");
  std::fstream file(log, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(500);
  file.write("damage", 6);
  file.close();
  EXPECT_ERROR(LevelDbReader(path), "cannot open the database " + path + ": Corruption");
  fs::remove(file_of(path, "MANIFEST-000002"));
  EXPECT_ERROR(LevelDbReader(path), "cannot open the database " + path);
}

TEST_F(LevelDb, RefusesADatabaseThatAnotherProgramWrites) {
  const std::string path = make(2);
  const pid_t writer = fork();
  if (writer == 0) {
    leveldb::DB* db = nullptr;
    if (leveldb::DB::Open({}, path, &db).ok()) folder.write("ready", "");
    pause();
  }
  while (!fs::exists(folder / "ready")) usleep(1000);
  const std::string error = error_of([&] { LevelDbReader reader(path); });
  kill(writer, SIGKILL);
  waitpid(writer, nullptr, 0);
  EXPECT_TRUE(contains(error, str("process ", writer, " is writing to it"))) << error;
  EXPECT_EQ(LevelDbReader(path).size(), 2);
}

TEST_F(LevelDb, ATableThatIsCutWhileItIsReadIsAnError) {
  const std::string path = folder / "db";
  {
    std::mt19937 random(1);
    std::string value(20'000, '\0');
    LevelDbWriter writer(path);
    for (int i = 0; i < 40; ++i) {
      for (char& c : value) c = static_cast<char>(random());
      writer.put(str(1000 + i), value);
    }
    writer.finish();
  }
  LevelDbWriter(path, IfThere::append).finish();  // converts the log to a table
  LevelDbReader reader(path);
  const std::string table = file_of(path, ".ldb");
  ASSERT_NE(table, "");
  fs::resize_file(table, 5000);
  EXPECT_TRUE(contains(error_of([&] {
                         for (int i = 0; i < 40; ++i) reader.next();
                       }),
                       "cannot read the database " + path + ": IO error"));
}

TEST_F(LevelDb, SaysHowToMakeAMissingDatabase) {
  EXPECT_EQ(error_of([&] { LevelDbReader(folder / "none"); }), "no database at " + folder / "none");
}

}  // namespace
}  // namespace doppio
