#include <cerrno>

#include "data/storage/hdf5.hpp"
#include "io/atomic_file.hpp"
#include "support/layer_harness.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

class Hdf5OutputLayer : public testing::Test {
 protected:
  void SetUp() override {
    if (!built_with_hdf5()) GTEST_SKIP() << "this build has no HDF5";
  }
  ScratchFolder folder;
  const std::string file = folder / "out.h5";
  const std::string layer = "type: 'HDF5Output' hdf5_output_param { file_name: '" + file + "' }";
};

TEST_F(Hdf5OutputLayer, AppendsBatches) {
  {
    LayerHarness h(layer, {{2, 1, 1, 2}, {2}}, {.tops = 0});
    EXPECT_FALSE(std::filesystem::exists(file));
    h.bottom_data(0, {1, 2, 3, 4});
    h.bottom_data(1, {7, 8});
    h.forward();
    h.bottom_data(0, {5, 6, 0, 0});
    h.bottom_data(1, {9, 0});
    h.bottom(0).reshape({1, 1, 1, 2});
    h.bottom(1).reshape({1});
    h.reshape();
    h.forward();
  }
  const auto h5 = open_hdf5(file);
  Tensor t;
  h5->read("data", t);
  EXPECT_EQ(t.shape(), Shape({3, 1, 1, 2}));
  expect_values(t, {1, 2, 3, 4, 5, 6});
  h5->read("label", t);
  EXPECT_EQ(t.shape(), Shape({3, 1, 1, 1}));
  expect_values(t, {7, 8, 9});
}

TEST_F(Hdf5OutputLayer, IsReadableWhileTheRunGoesOn) {
  LayerHarness h(layer, {{1, 3}, {1, 2}}, {.tops = 0});
  h.bottom_data(0, {1, 2, 3});
  h.bottom_data(1, {4, 5});
  h.forward();
  const auto h5 = open_hdf5(file);
  EXPECT_EQ(h5->shape("data"), Shape({1, 3, 1, 1}));
  EXPECT_EQ(h5->shape("label"), Shape({1, 2, 1, 1}));
}

TEST_F(Hdf5OutputLayer, NamesWhatIsWrong) {
  EXPECT_ERROR(LayerHarness("type: 'HDF5Output'", {{1}, {1}}, {.tops = 0}), "file_name is missing");
  EXPECT_ERROR(LayerHarness(layer, {{2, 3}, {3}}, {.tops = 0}),
               "data of 2 x 3 needs as many labels as items, not 3");
  LayerHarness nowhere("type: 'HDF5Output' hdf5_output_param { file_name: '/nowhere/a.h5' }",
                       {{1}, {1}}, {.tops = 0});
  EXPECT_ERROR(nowhere.forward(), "cannot create '/nowhere/a.h5'");
}

TEST_F(Hdf5OutputLayer, KeepsTheOldFileUntilABatchIsWhole) {
  folder.write("out.h5", "old");
  LayerHarness h(layer, {{1, 3}, {1, 2}}, {.tops = 0});
  set_file_step_hook([](FileStep step) { return step == FileStep::sync ? ENOSPC : 0; });
  const std::string error = error_of([&] { h.forward(); });
  set_file_step_hook({});
  EXPECT_TRUE(contains(error, "cannot write '" + file + "': No space left on device")) << error;
  EXPECT_FALSE(is_hdf5(file));
  h.forward();
  EXPECT_EQ(open_hdf5(file)->shape("data"), Shape({1, 3, 1, 1}));
}

TEST_F(Hdf5OutputLayer, RowsMustBeAlike) {
  const auto h5 = append_hdf5(file, file);
  Tensor rows;
  rows.reshape({2, 3});
  h5->append("x", rows);
  rows.reshape({2, 2});
  EXPECT_EQ(error_of([&] { h5->append("x", rows); }),
            file + ": 'x' is 2 x 3 and cannot take rows of 2 x 2");
  rows.reshape({0, 3});
  EXPECT_EQ(error_of([&] { h5->append("x", rows); }), file + ": 'x': no rows to append");
}

}  // namespace
}  // namespace doppio
