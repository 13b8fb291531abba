#include "data/storage/hdf5.hpp"

#include <cerrno>

#include "io/atomic_file.hpp"
#include "io/input_file.hpp"
#include "support/layer_harness.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

class Hdf5 : public testing::Test {
 protected:
  void SetUp() override {
    if (!built_with_hdf5()) GTEST_SKIP() << "this build has no HDF5";
  }
  /// Writes a file with two datasets, an integer and a string.
  std::string make_file() {
    const std::string file = folder / "a.h5";
    const auto h5 = create_hdf5(file);
    Tensor t;
    t.reshape({2, 3});
    set_values(t, {1, 2, 3, 4, 5, 6});
    h5->write("data/b/conv/0", t);
    t.reshape({});
    set_values(t, {7});
    h5->write("/data/a/0", t);
    h5->make_group("data/empty");
    h5->write_int("iter", 42);
    h5->write_string("learned_net", "x.caffemodel");
    h5->close();
    return file;
  }
  ScratchFolder folder;
};

TEST_F(Hdf5, ReadsBackWhatWasWritten) {
  const auto h5 = open_hdf5(make_file());
  EXPECT_EQ(h5->shape("data/b/conv/0"), Shape({2, 3}));
  Tensor t;
  h5->read("/data/b/conv/0", t);
  EXPECT_EQ(t.shape(), Shape({2, 3}));
  expect_values(t, {1, 2, 3, 4, 5, 6});
  h5->read("data/a/0", t);
  EXPECT_EQ(t.shape(), Shape());
  expect_values(t, {7});
  EXPECT_EQ(h5->read_int("iter"), 42);
  EXPECT_EQ(h5->read_string("learned_net"), "x.caffemodel");
  h5->read("iter", t);
  expect_values(t, {42});
}

TEST_F(Hdf5, FindsAndListsByPath) {
  const auto h5 = open_hdf5(make_file());
  EXPECT_TRUE(h5->has("data/empty"));
  EXPECT_TRUE(h5->has("/data/b/conv/0"));
  EXPECT_FALSE(h5->has("data/c/0"));
  EXPECT_EQ(h5->datasets("data"), (std::vector<std::string>{"a/0", "b/conv/0"}));
  EXPECT_EQ(h5->datasets("data/empty"), std::vector<std::string>{});
  EXPECT_EQ(h5->datasets("nothing"), std::vector<std::string>{});
}

TEST_F(Hdf5, KnowsFilesByTheirContent) {
  EXPECT_TRUE(is_hdf5(make_file()));
  EXPECT_FALSE(is_hdf5(folder.write("b.h5", "prototxt")));
  EXPECT_FALSE(is_hdf5(folder / "missing.h5"));
}

TEST_F(Hdf5, NamesWhatIsWrong) {
  const std::string file = make_file();
  const auto h5 = open_hdf5(file);
  Tensor t;
  EXPECT_EQ(error_of([&] { h5->read("data/c", t); }), file + " has no dataset 'data/c'");
  EXPECT_ERROR(h5->read("data", t), "'data' is a group");
  EXPECT_ERROR(h5->read("learned_net", t), "is of type string");
  EXPECT_ERROR(h5->read_int("data/b/conv/0"), "is not one integer");
  EXPECT_ERROR(h5->read_string("iter"), "is not one string");
  EXPECT_ERROR(open_hdf5(folder / "no.h5"), "No such file");
  EXPECT_ERROR(open_hdf5(folder.write("x", "text")), "is not an HDF5");
  EXPECT_EQ(error_of([&] { create_hdf5(folder / "no/a.h5")->close(); }),
            "cannot create '" + folder / "no/a.h5" + "': No such file or directory");
  const auto out = create_hdf5(folder / "twice.h5");
  out->write_int("a", 1);
  EXPECT_ERROR(out->write_int("a", 1), "'a' cannot be created");
}

TEST_F(Hdf5, SurvivesATruncatedFile) {
  const std::string file = make_file();
  std::filesystem::resize_file(file, std::filesystem::file_size(file) / 2);
  EXPECT_EQ(error_of([&] { open_hdf5(file); }), "cannot open " + file + ": it is cut short");
}

TEST_F(Hdf5, KeepsTheOldFileWhenTheDiskIsFull) {
  const std::string file = make_file();
  const auto h5 = create_hdf5(file);
  h5->write_int("iter", 43);
  set_file_step_hook([](FileStep step) { return step == FileStep::write ? ENOSPC : 0; });
  const std::string error = error_of([&] { h5->close(); });
  set_file_step_hook({});
  EXPECT_EQ(error, "cannot write '" + file + "': No space left on device; free some space");
  EXPECT_EQ(open_hdf5(file)->read_int("iter"), 42);
}

TEST_F(Hdf5, NoticesValuesThatChanged) {
  const std::string file = make_file();
  std::string bytes = read_file(file);
  const float old = 5, changed = 5.5f;
  const std::size_t place =
      bytes.find(std::string(reinterpret_cast<const char*>(&old), sizeof old));
  ASSERT_NE(place, bytes.npos);
  bytes.replace(place, sizeof changed, reinterpret_cast<const char*>(&changed), sizeof changed);
  folder.write("a.h5", bytes);
  Tensor t;
  EXPECT_ERROR(open_hdf5(file)->read("data/b/conv/0", t),
               file + " is damaged: the values of 'data/b/conv/0' differ");
  open_hdf5(file)->read("data/a/0", t);
}

}  // namespace
}  // namespace doppio
