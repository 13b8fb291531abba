#include "data/database.hpp"

#include <map>

#include "data/database_writer.hpp"
#include "support/layer_harness.hpp"
#include "support/read_only.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

namespace fs = std::filesystem;

/// What holds for both kinds.
class DatabaseOf : public testing::TestWithParam<Backend> {
 protected:
  /// A database with records "0".."n-1" whose values are "v0".."v(n-1)".
  std::string make(int n, IfThere if_there = IfThere::fail) {
    const auto writer = make_database(path, GetParam(), if_there);
    for (int i = 0; i < n; ++i) writer->put(str(i), str("v", i));
    writer->finish();
    return path;
  }
  ScratchFolder folder;
  const std::string path = folder / "db";
};

std::string backend_name(const testing::TestParamInfo<Backend>& backend) {
  return backend.param == Backend::lmdb ? "lmdb" : "leveldb";
}
INSTANTIATE_TEST_SUITE_P(All, DatabaseOf, testing::Values(Backend::lmdb, Backend::leveldb),
                         backend_name);

TEST_P(DatabaseOf, IsReadInKeyOrderRoundAndRound) {
  const auto db = open_database(make(3));
  EXPECT_EQ(find_backend(path), GetParam());
  for (const char* key : {"0", "1", "2", "0", "1"}) {
    const Record record = db->next();
    EXPECT_EQ(record.key, key);
    EXPECT_EQ(record.value, str("v", key));
  }
  EXPECT_EQ(db->known_size(), 3);
  EXPECT_EQ(db->size(), 3);
}

TEST_P(DatabaseOf, SeeksForwardAndBackRoundAndRound) {
  const auto db = open_database(make(8));
  for (const unsigned k : {5u, 2u, 2u, 7u, 0u, 6u, 13u, 8u, 800u}) {
    db->seek(k);
    EXPECT_EQ(db->next().key, str(k % 8));
    EXPECT_EQ(db->next().key, str((k + 1) % 8));
  }
  const auto fresh = open_database(path);
  fresh->seek(19);
  EXPECT_EQ(fresh->next().key, "3");
}

TEST_P(DatabaseOf, GivesAnyPlaceBesideTheWalk) {
  const auto db = open_database(make(8));
  EXPECT_EQ(db->next().key, "0");
  for (const Index k : {7, 0, 3, 3}) {
    const Record record = db->at(k);
    EXPECT_EQ(record.key, str(k));
    EXPECT_EQ(record.value, str("v", k));
  }
  EXPECT_EQ(db->next().key, "1");
  EXPECT_THROW(db->at(8), InternalError);
}

TEST_P(DatabaseOf, RecordsOutliveTheNextOnes) {
  const auto db = open_database(make(3));
  const Record first = db->next(), second = db->next(), other = db->at(2);
  db->next();
  EXPECT_EQ(first.value, "v0");
  EXPECT_EQ(second.value, "v1");
  EXPECT_EQ(other.key, "2");
}

TEST_P(DatabaseOf, ReadingLeavesNoTrace) {
  make(3);
  if (GetParam() == Backend::lmdb) fs::remove(path + "/lock.mdb");
  const auto contents = [&] {
    std::map<std::string, std::uintmax_t> files;
    for (const auto& file : fs::directory_iterator(path))
      files[file.path().filename()] = file.file_size();
    return files;
  };
  const auto before = contents();
  fs::permissions(folder / "", fs::perms(0755));
  EXPECT_TRUE(without_write_permission(path, [&] {
    const auto db = open_database(path);
    return db->size() == 3 && db->next().value == "v0" && db->at(2).value == "v2";
  }));
  EXPECT_EQ(contents(), before);
}

TEST_P(DatabaseOf, HoldsManyAndLargeRecords) {
  const std::string value(1 << 20, 'x');
  const auto writer = make_database(path, GetParam());
  for (int i = 0; i < 90; ++i) writer->put(str(1000 + i), value + str(i));
  writer->finish();
  const auto db = open_database(path);
  EXPECT_EQ(db->size(), 90);
  EXPECT_EQ(db->at(89).value, value + "89");
  db->seek(89);
  EXPECT_EQ(db->next().value, value + "89");
}

TEST_P(DatabaseOf, WritesEveryThousandRecords) {
  {
    const auto writer = make_database(path, GetParam());
    for (int i = 0; i < 2500; ++i) writer->put(str(10000 + i), "v");
  }
  EXPECT_EQ(open_database(path)->size(), 2000);
  const auto writer = make_database(path, GetParam(), IfThere::append);
  EXPECT_EQ(writer->last_key(), "11999");
  writer->put("12000", "w");
  EXPECT_EQ(writer->last_key(), "11999");
  writer->finish();
  EXPECT_EQ(open_database(path)->at(2000).value, "w");
}

TEST_P(DatabaseOf, IsNotResumedByTheOtherBackend) {
  make_database(path, GetParam())->finish();
  const Backend other = GetParam() == Backend::lmdb ? Backend::leveldb : Backend::lmdb;
  EXPECT_TRUE(contains(error_of([&] { make_database(path, other, IfThere::append); }),
                       "with the other backend"));
}

TEST_P(DatabaseOf, AppendsToNothing) {
  const auto writer = make_database(path, GetParam(), IfThere::append);
  EXPECT_EQ(writer->last_key(), "");
  writer->put("a", "b");
  writer->finish();
  EXPECT_EQ(open_database(path)->size(), 1);
}

TEST_P(DatabaseOf, IsReplacedOnlyWhenTold) {
  make(3);
  EXPECT_TRUE(
      contains(error_of([&] { make_database(path, GetParam()); }), path + " exists already"));
  make(1, IfThere::replace);
  EXPECT_EQ(open_database(path)->size(), 1);
  const Backend other = GetParam() == Backend::lmdb ? Backend::leveldb : Backend::lmdb;
  make_database(path, other, IfThere::replace)->finish();
  EXPECT_EQ(find_backend(path), other);
  const std::string file = folder.write("file", "");
  EXPECT_TRUE(
      contains(error_of([&] { make_database(file, GetParam(), IfThere::replace); }), "is a file"));
  EXPECT_TRUE(
      contains(error_of([&] { make_database(folder / "no/db", GetParam()); }), "No such file"));
}

TEST_P(DatabaseOf, IsRemovedWhenMakingItFailed) {
  const auto writer = make_database(path, GetParam());
  writer->put("a", "b");
  folder.write("db/notes.txt", "mine");
  writer->discard();
  EXPECT_FALSE(has_database(path));
  EXPECT_TRUE(fs::exists(path + "/notes.txt"));
  EXPECT_EQ(std::distance(fs::directory_iterator(path), fs::directory_iterator()), 1);
}

TEST_P(DatabaseOf, RefusesBadKeys) {
  const auto writer = make_database(path, GetParam());
  EXPECT_TRUE(contains(error_of([&] { writer->put("", "v"); }), "takes keys of 1 to 511 bytes"));
  const std::string long_key(512, 'k');
  EXPECT_TRUE(contains(error_of([&] { writer->put(long_key, "v"); }), "has 512"));
  for (const char* key : {"b", "a", "b"}) writer->put(key, "1");
  EXPECT_TRUE(contains(error_of([&] { writer->finish(); }), "has a record 'b' already"));
}

TEST_P(DatabaseOf, RefusesKeysThatAreThereAlready) {
  make(3);
  const auto writer = make_database(path, GetParam(), IfThere::append);
  writer->put("1", "v");
  EXPECT_TRUE(contains(error_of([&] { writer->finish(); }), "has a record '1' already"));
}

TEST_P(DatabaseOf, MayNotBeEmpty) {
  EXPECT_EQ(error_of([&] { open_database(make(0)); }), "the database " + path + " has no records");
}

TEST(Database, KnowsItsBackendsByName) {
  EXPECT_EQ(backend_of("lmdb"), Backend::lmdb);
  EXPECT_EQ(backend_of("leveldb"), Backend::leveldb);
  EXPECT_EQ(error_of([] { backend_of("levldb"); }),
            "there is no backend 'levldb'; did you mean 'leveldb'?; lmdb and leveldb are known");
}

TEST(Database, SaysHowMuchRoomIsMissing) {
  EXPECT_NO_THROW(require_space("/tmp", 1));
  const std::string message = error_of([] { require_space("/tmp", std::uint64_t{1} << 62); });
  EXPECT_TRUE(contains(message, "4611686018427387904 bytes are to be written"));
  EXPECT_TRUE(contains(message, "are missing"));
}

}  // namespace
}  // namespace doppio
