#include "data/storage/database.hpp"

#include <map>
#include <set>

#include "data/storage/database_writer.hpp"
#include "support/expect_error.hpp"
#include "support/read_only.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

namespace fs = std::filesystem;

/// Tests that apply to both backends.
class DatabaseOf : public testing::TestWithParam<Backend> {
 protected:
  /// Creates a database with keys "0".."n-1" and values "v0".."v(n-1)".
  std::string make(int n, IfThere if_there = IfThere::fail) {
    const auto writer = make_database(path, GetParam(), if_there);
    for (int i = 0; i < n; ++i) writer->put(str(i), str("v", i));
    writer->finish();
    return path;
  }
  /// Returns the names in the database's parent folder.
  std::set<std::string> entries() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder / ""))
      names.insert(entry.path().filename());
    return names;
  }
  ScratchFolder folder;
  const std::string path = folder / "db", partial = path + ".partial";
};

std::string backend_name(const testing::TestParamInfo<Backend>& backend) {
  return backend.param == Backend::lmdb ? "lmdb" : "leveldb";
}
INSTANTIATE_TEST_SUITE_P(All, DatabaseOf, testing::Values(Backend::lmdb, Backend::leveldb),
                         backend_name);

TEST_P(DatabaseOf, ReadsInKeyOrderAndWrapsAround) {
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

TEST_P(DatabaseOf, SeeksForwardAndBackAndWrapsAround) {
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
  EXPECT_EQ(last_key(partial), "11999");
  const auto writer = make_database(path, GetParam(), IfThere::append);
  writer->put("12000", "w");
  writer->finish();
  EXPECT_EQ(open_database(path)->size(), 2001);
  EXPECT_EQ(open_database(path)->at(2000).value, "w");
}

TEST_P(DatabaseOf, IsRefusedUntilItIsFinished) {
  {
    const auto writer = make_database(path, GetParam());
    for (int i = 0; i < 1000; ++i) writer->put(str(10000 + i), "v");
  }
  EXPECT_FALSE(fs::exists(path));
  for (const std::string& given : {path, partial}) {
    const std::string error = error_of([&] { open_database(given); });
    EXPECT_TRUE(contains(error, "the database " + partial + " is not finished")) << error;
    EXPECT_TRUE(contains(error, "--resume")) << error;
  }
  fs::rename(partial, path);
  EXPECT_ERROR(open_database(path), "is not finished");
  fs::rename(path, partial);
  EXPECT_ERROR(make_database(path, GetParam()), partial + " contains an interrupted conversion");
  make_database(path, GetParam(), IfThere::append)->finish();
  EXPECT_EQ(open_database(path)->size(), 1000);
  EXPECT_EQ(entries(), std::set<std::string>{"db"});
}

TEST_P(DatabaseOf, LeavesNothingIfNoRecordWasStored) {
  { const auto writer = make_database(path, GetParam()); }
  EXPECT_TRUE(entries().empty());
  make(3);
  { const auto writer = make_database(path, GetParam(), IfThere::append); }
  { const auto writer = make_database(path, GetParam(), IfThere::replace); }
  EXPECT_EQ(entries(), std::set<std::string>{"db"});
  EXPECT_EQ(open_database(path)->size(), 3);
}

TEST_P(DatabaseOf, StaysUntilItsReplacementIsWhole) {
  make(3);
  const auto writer = make_database(path, GetParam(), IfThere::replace);
  for (int i = 0; i < 1000; ++i) writer->put(str(i), "new");
  EXPECT_EQ(open_database(path)->size(), 3);
  writer->discard();
  EXPECT_EQ(open_database(path)->size(), 3);
  EXPECT_EQ(entries(), std::set<std::string>{"db"});
}

TEST_P(DatabaseOf, IsReplacedByWhatAnInterruptedConversionBegan) {
  make(3);
  {
    const auto writer = make_database(path, GetParam(), IfThere::replace);
    for (int i = 0; i < 1000; ++i) writer->put(str(10000 + i), "new");
  }
  EXPECT_ERROR(make_database(path, GetParam(), IfThere::append),
               "with --overwrite that is finished and then replaces it");
  const auto reader = open_database(path);
  const auto writer = make_database(path, GetParam(), IfThere::append_and_replace);
  writer->put("2", "newest");
  writer->finish();
  EXPECT_EQ(open_database(path)->size(), 1001);
  EXPECT_EQ(reader->at(1).value, "v1") << "whoever reads the old one is not disturbed";
  EXPECT_EQ(entries(), std::set<std::string>{"db"});
}

TEST_P(DatabaseOf, OverwritingTouchesNoFolderOfOtherFiles) {
  const auto overwrite = [&] { make_database(path, GetParam(), IfThere::replace); };
  make(3);
  folder.write("db/notes.txt", "mine");
  EXPECT_ERROR(overwrite(), "holds 'notes.txt', which is no part of a database");
  EXPECT_EQ(open_database(path)->size(), 3);
  fs::remove_all(path);
  for (const char* name : {"000001.log", "data.mdb"}) {
    fs::create_directory(path);
    folder.write(str("db/", name), "measured");
    EXPECT_ERROR(overwrite(), "holds no database") << name;
    EXPECT_TRUE(fs::exists(path + "/" + name));
    fs::remove_all(path);
  }
  fs::create_directory(path);
  fs::create_directory(partial);
  folder.write("db.partial/notes.txt", "mine");
  EXPECT_ERROR(overwrite(), "holds 'notes.txt'");
  EXPECT_TRUE(fs::exists(partial + "/notes.txt"));
}

TEST_P(DatabaseOf, IsMadeByOneProcessAtATime) {
  make(3);
  const auto writer = make_database(path, GetParam(), IfThere::replace);
  for (const IfThere how : {IfThere::replace, IfThere::append_and_replace})
    EXPECT_ERROR(make_database(path, GetParam(), how), "another process makes or reads it");
  writer->put("a", "b");
  writer->finish();
  EXPECT_EQ(open_database(path)->size(), 1);
}

TEST_P(DatabaseOf, IsNotChangedWhileItIsRead) {
  make(3);
  const auto reader = open_database(path);
  EXPECT_ERROR(make_database(path, GetParam(), IfThere::append),
               "another process makes or reads it");
  make(2, IfThere::replace);
  EXPECT_EQ(reader->at(2).value, "v2");
}

TEST_P(DatabaseOf, IsMadeWhereASymbolicLinkLeads) {
  make(3);
  fs::create_directory_symlink("db", folder / "link");
  const auto writer = make_database(folder / "link/", GetParam(), IfThere::replace);
  writer->put("a", "b");
  writer->finish();
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(open_database(path)->size(), 1);
}

TEST_P(DatabaseOf, TakesAnEmptyFolderAndMakesThoseAboveIt) {
  fs::create_directory(path);
  EXPECT_EQ(open_database(make(2))->size(), 2);
  make_database(folder / "some/where/db", GetParam())->finish();
  EXPECT_TRUE(has_database(folder / "some/where/db"));
}

TEST_P(DatabaseOf, NamesTooLongAreErrors) {
  const std::string name(300, 'n');
  for (const std::string& place : {folder / name, folder / name + "/db"}) {
    EXPECT_ERROR(open_database(place), "no database at");
    for (const IfThere how : {IfThere::fail, IfThere::replace, IfThere::append})
      EXPECT_ERROR(make_database(place, GetParam(), how), "File name too long");
  }
}

TEST_P(DatabaseOf, IsNotResumedByTheOtherBackend) {
  make_database(path, GetParam())->finish();
  const Backend other = GetParam() == Backend::lmdb ? Backend::leveldb : Backend::lmdb;
  EXPECT_ERROR(make_database(path, other, IfThere::append), "with the other backend");
}

TEST_P(DatabaseOf, AppendsToNothing) {
  EXPECT_EQ(last_key(path), "");
  const auto writer = make_database(path, GetParam(), IfThere::append);
  writer->put("a", "b");
  writer->finish();
  EXPECT_EQ(open_database(path)->size(), 1);
}

TEST_P(DatabaseOf, IsReplacedOnlyWhenTold) {
  make(3);
  EXPECT_ERROR(make_database(path, GetParam()), path + " exists already");
  make(1, IfThere::replace);
  EXPECT_EQ(open_database(path)->size(), 1);
  EXPECT_EQ(entries(), std::set<std::string>{"db"});
  const Backend other = GetParam() == Backend::lmdb ? Backend::leveldb : Backend::lmdb;
  make_database(path, other, IfThere::replace)->finish();
  EXPECT_EQ(find_backend(path), other);
  const std::string file = folder.write("file", "");
  EXPECT_ERROR(make_database(file, GetParam(), IfThere::replace), "is a file");
}

TEST_P(DatabaseOf, IsRemovedWhenMakingItFailed) {
  const auto writer = make_database(path, GetParam());
  writer->put("a", "b");
  folder.write("db.partial/notes.txt", "mine");
  writer->discard();
  EXPECT_EQ(std::distance(fs::directory_iterator(partial), fs::directory_iterator()), 1);
  EXPECT_TRUE(fs::exists(partial + "/notes.txt"));
}

TEST_P(DatabaseOf, RefusesBadKeys) {
  const auto writer = make_database(path, GetParam());
  EXPECT_ERROR(writer->put("", "v"), "takes keys of 1 to 511 bytes");
  const std::string long_key(512, 'k');
  EXPECT_ERROR(writer->put(long_key, "v"), "has 512");
  for (const char* key : {"b", "a", "b"}) writer->put(key, "1");
  EXPECT_ERROR(writer->finish(), "has a record 'b' already");
}

TEST_P(DatabaseOf, RefusesKeysThatAreThereAlready) {
  make(3);
  const auto writer = make_database(path, GetParam(), IfThere::append);
  writer->put("1", "v");
  EXPECT_ERROR(writer->finish(), "has a record '1' already");
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

TEST(Database, RecordsWithStrangeKeysAreNamedInPlainText) {
  EXPECT_EQ(record_name("db", std::string_view("\x01\n\xFF", 3)),
            "database db, record '\\x01\\n\\xff'");
}

TEST(Database, SaysHowMuchRoomIsMissing) {
  EXPECT_NO_THROW(require_space("/tmp", 1));
  const std::string message = error_of([] { require_space("/tmp", std::uint64_t{1} << 62); });
  EXPECT_TRUE(contains(message, "4611686018427387904 bytes are to be written"));
  EXPECT_TRUE(contains(message, "are missing"));
}

}  // namespace
}  // namespace doppio
