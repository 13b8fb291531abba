#include "data/storage/database_list.hpp"

#include <functional>
#include <map>
#include <set>

#include "support/expect_error.hpp"
#include "support/read_only.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

namespace fs = std::filesystem;
using Paths = std::vector<std::string>;

/// Tests that apply to both backends.
class DatabaseListOf : public testing::TestWithParam<Backend> {
 protected:
  /// Creates a database with keys and values of the numbers `begin` to `end` - 1; `edit` may change
  /// a value.
  std::string make(const std::string& name, int begin, int end,
                   const std::function<void(int, std::string&)>& edit = {}) {
    const auto writer = make_database(folder / name, GetParam(), IfThere::replace);
    for (int i = begin; i < end; ++i) {
      std::string value = str("v", i);
      if (edit) edit(i, value);
      writer->put(str(10000 + i), value);
    }
    writer->finish();
    return folder / name;
  }
  /// Creates databases of 3, 1 and 4 records, which are 0 to 7.
  Paths three() { return {make("a", 0, 3), make("b", 3, 4), make("c", 4, 8)}; }

  ScratchFolder folder;
};

INSTANTIATE_TEST_SUITE_P(All, DatabaseListOf, testing::Values(Backend::lmdb, Backend::leveldb),
                         [](const auto& backend) {
  return backend.param == Backend::lmdb ? "lmdb" : "leveldb";
});

TEST_P(DatabaseListOf, ReadsOneDatabaseAfterAnother) {
  const Paths paths = three();
  const auto db = open_databases(paths);
  EXPECT_EQ(db->known_size(), GetParam() == Backend::lmdb ? 8 : 0) << "nothing is counted";
  for (int i = 0; i < 20; ++i) {
    const Record record = db->next();
    EXPECT_EQ(record.key, str(10000 + i % 8));
    EXPECT_EQ(record.value, str("v", i % 8));
    EXPECT_EQ(record.database, paths[i % 8 < 3 ? 0 : i % 8 < 4 ? 1 : 2]);
  }
  EXPECT_EQ(db->known_size(), 8);
  EXPECT_EQ(db->size(), 8);
}

TEST_P(DatabaseListOf, SeeksLikeOneDatabase) {
  const Paths paths = three();
  const auto db = open_databases(paths);
  for (const unsigned k : {5u, 2u, 2u, 7u, 0u, 3u, 6u, 13u, 8u, 800u, 4u}) {
    db->seek(k);
    EXPECT_EQ(db->next().value, str("v", k % 8)) << k;
    EXPECT_EQ(db->next().value, str("v", (k + 1) % 8)) << k;
  }
  for (const unsigned k : {2u, 3u, 4u, 7u, 8u, 11u, 19u, 8003u}) {
    const auto fresh = open_databases(paths);
    fresh->seek(k);
    EXPECT_EQ(fresh->next().value, str("v", k % 8)) << k;
    EXPECT_EQ(fresh->next().value, str("v", (k + 1) % 8)) << k;
  }
}

TEST_P(DatabaseListOf, SeekingCountsNoMoreThanItMust) {
  const auto db = open_databases(three());
  db->seek(1);
  EXPECT_EQ(db->next().value, "v1");
  db->seek(5);
  EXPECT_EQ(db->next().value, "v5");
  EXPECT_EQ(db->known_size(), GetParam() == Backend::lmdb ? 8 : 0);
}

TEST_P(DatabaseListOf, GivesAnyPlaceBesideTheWalk) {
  const auto db = open_databases(three());
  for (int i = 0; i < 4; ++i) EXPECT_EQ(db->next().value, str("v", i));
  for (const Index k : {7, 0, 3, 3, 2, 4}) EXPECT_EQ(db->at(k).value, str("v", k));
  EXPECT_EQ(db->next().value, "v4");
  EXPECT_THROW(db->at(8), InternalError);
}

TEST_P(DatabaseListOf, ManyDatabasesNeedFewFiles) {
  Paths paths;
  for (int i = 0; i < 40; ++i) paths.push_back(make(str("db", 100 + i), 2 * i, 2 * i + 2));
  const auto open_files = [] {
    return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
  };
  const auto before = open_files();
  const auto db = open_databases(paths);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(db->next().value, str("v", i % 80));
  for (Index i = 0; i < 80; ++i) EXPECT_EQ(db->at(i * 37 % 80).value, str("v", i * 37 % 80));
  EXPECT_EQ(db->next().value, "v20") << "closing keeps the place";
  EXPECT_LE(open_files() - before, 32);
}

TEST_P(DatabaseListOf, AClosedDatabaseKeepsItsPlaceButMustNotChange) {
  const std::string path = make("db", 0, 5);
  const auto db = open_database(path);
  EXPECT_EQ(db->next().value, "v0");
  EXPECT_EQ(db->at(3).value, "v3");
  db->close();
  db->close();
  EXPECT_EQ(db->next().value, "v1");
  db->close();
  EXPECT_EQ(db->at(3).value, "v3");
  db->close();
  make("db", 2, 9);
  for (int i = 0; i < 2; ++i)
    EXPECT_ERROR(db->next(), "the database " + path + " was changed while it was being read");
}

TEST_P(DatabaseListOf, FindsAKeyOrTheNextOne) {
  const auto db = open_database(make("db", 0, 3000));
  EXPECT_EQ(db->next().value, "v0");
  for (int i = 7; i < 3000; i += 7) {
    EXPECT_EQ(db->find(str(10000 + i)).value, str("v", i));
    EXPECT_EQ(db->find(str(10000 + i - 1, "x")).value, str("v", i));
  }
  EXPECT_EQ(db->find("").value, "v0");
  EXPECT_EQ(db->find("2").value, "v2999");
  EXPECT_EQ(db->next().value, "v1");
}

TEST_P(DatabaseListOf, ReadingLeavesNoTrace) {
  const Paths paths = three();
  const auto contents = [&] {
    std::map<std::string, fs::file_time_type> files;
    for (const auto& file : fs::recursive_directory_iterator(folder / ""))
      files[file.path()] = fs::last_write_time(file);
    return files;
  };
  for (const std::string& path : paths) fs::remove(path + "/lock.mdb");
  fs::permissions(folder / "", fs::perms(0755));
  for (const std::string& path : paths) fs::permissions(path, fs::perms(0555));
  const auto before = contents();
  EXPECT_TRUE(without_write_permission(folder / "", [&] {
    const auto db = open_databases(database_paths(folder / "?"));
    return db->next().value == "v0" && db->at(7).value == "v7" && db->size() == 8 &&
           !database_fingerprint(paths).empty();
  }));
  for (const std::string& path : paths) fs::permissions(path, fs::perms(0755));
  EXPECT_EQ(contents(), before);
}

TEST_P(DatabaseListOf, FingerprintsOfCopiesAreEqual) {
  for (const int n : {1, 2, 100, 2000}) {
    const std::string a = make("a", 0, n);
    fs::create_directory(folder / "elsewhere");
    fs::copy(a, folder / "elsewhere/b");
    EXPECT_EQ(database_fingerprint({a}), database_fingerprint({folder / "elsewhere/b"}));
    const std::string count = GetParam() == Backend::lmdb ? str(n, " records, ") : "";
    EXPECT_TRUE(database_fingerprint({a}).starts_with(count + "sample "));
    fs::remove_all(folder / "elsewhere");
  }
  // Records that were stored in another order lie elsewhere in the files.
  const auto writer = make_database(folder / "shuffled", GetParam());
  for (int i = 0; i < 2000; ++i) writer->put(str(10000 + i * 7 % 2000), str("v", i * 7 % 2000));
  writer->finish();
  EXPECT_EQ(database_fingerprint({folder / "shuffled"}), database_fingerprint({folder / "a"}));
}

TEST_P(DatabaseListOf, FingerprintsTellOtherRecords) {
  const int n = 1000;
  const std::string original = database_fingerprint({make("a", 0, n)});
  const auto change = [&](int changed) {
    return database_fingerprint(
        {make("b", 0, n, [&](int i, std::string& value) { value[0] = i == changed ? 'w' : 'v'; })});
  };
  EXPECT_EQ(change(n), original);
  EXPECT_NE(change(0), original);
  EXPECT_NE(change(n / 2), original);
  EXPECT_NE(change(n - 1), original);
  EXPECT_NE(database_fingerprint({make("b", 0, n + 1)}), original);
  EXPECT_NE(database_fingerprint({make("b", 1, n)}), original);
}

TEST_P(DatabaseListOf, FingerprintsCoverEachDatabase) {
  Paths paths;
  for (int i = 0; i < 20; ++i) paths.push_back(make(str("db", 10 + i), 3 * i, 3 * i + 3));
  const std::string original = database_fingerprint(paths);
  std::set<std::string> others = {original};
  for (const int changed : {0, 1, 2, 28, 59}) {
    const int first = changed / 3 * 3;
    const std::string name = str("db", 10 + changed / 3);
    make(name, first, first + 3, [&](int i, std::string& v) { v += i == changed ? "x" : ""; });
    others.insert(database_fingerprint(paths));
    make(name, first, first + 3);
  }
  EXPECT_EQ(others.size(), 6u);
  EXPECT_EQ(database_fingerprint(paths), original);
  std::swap(paths[3], paths[4]);
  EXPECT_NE(database_fingerprint(paths), original) << "the order matters";
}

TEST_P(DatabaseListOf, NamesTheDatabaseThatCannotBeRead) {
  Paths paths = three();
  const Paths missing = {paths[0], folder / "none", paths[2]};
  EXPECT_ERROR(open_databases(missing), "no database at " + folder / "none");
  make("b", 3, 3);
  EXPECT_ERROR(open_databases(paths), "the database " + paths[1] + " has no records");
  const auto begun = make_database(folder / "d", GetParam());
  begun->put("1", "v");
  begun->suspend();
  paths[1] = folder / "d";
  EXPECT_ERROR(open_databases(paths), "is not finished");
}

TEST(DatabaseLists, MayMixTheBackends) {
  ScratchFolder folder;
  Paths paths;
  for (int i = 0; i < 9; ++i) {
    paths.push_back(folder / str("db", i));
    const auto writer = make_database(paths.back(), i % 2 == 0 ? Backend::lmdb : Backend::leveldb);
    writer->put("key", str("v", i));
    writer->finish();
  }
  const auto db = open_databases(paths);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(db->next().value, str("v", i % 9));
  EXPECT_EQ(db->size(), 9);
}

TEST(DatabaseLists, WildcardsGiveSortedFolders) {
  ScratchFolder folder;
  for (const char* name : {"train-2.lmdb", "train-1.lmdb", "train-10.lmdb", "trainX", "[x]a", "xa"})
    fs::create_directory(folder / name);
  folder.write("train-3.lmdb", "a file");
  const auto names = [&](const std::string& pattern) {
    Paths found;
    for (const std::string& path : database_paths(folder / pattern))
      found.push_back(path.substr((folder / "").size()));
    return found;
  };
  EXPECT_EQ(names("train-*.lmdb"), (Paths{"train-1.lmdb", "train-10.lmdb", "train-2.lmdb"}));
  EXPECT_EQ(names("train-?.lmdb"), (Paths{"train-1.lmdb", "train-2.lmdb"}));
  EXPECT_EQ(names("[x]?"), Paths{"[x]a"}) << "only * and ? are wildcards";
  EXPECT_EQ(names("none*"), Paths{});
  EXPECT_EQ(names("none"), Paths{"none"}) << "names are taken literally";
  EXPECT_EQ(names("[x]"), Paths{"[x]"});
  fs::create_directory(folder / "train?");
  EXPECT_EQ(names("train?"), Paths{"train?"}) << "so are names that exist";
  EXPECT_TRUE(contains(missing_database("none*"), "no folder matches none* (seen from "));
}

}  // namespace
}  // namespace doppio
