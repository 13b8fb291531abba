#include <algorithm>
#include <numeric>

#include "data/storage/hdf5.hpp"
#include "support/layer_harness.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

class Hdf5DataLayer : public testing::Test {
 protected:
  void SetUp() override {
    if (!built_with_hdf5()) GTEST_SKIP() << "this build has no HDF5";
  }

  /// Writes rows first, first + 1, ...: x is {n, 10 n}, y is {n}.
  std::string write(const std::string& name, int first, int rows, Index columns = 2,
                    int y_rows = -1) {
    const std::string file = folder / name;
    const auto h5 = create_hdf5(file);
    Tensor x, y;
    x.reshape({rows, columns});
    y.reshape({y_rows < 0 ? rows : y_rows});
    for (int r = 0; r < rows; ++r) {
      x.write_host()[r * columns] = static_cast<float>(first + r);
      x.write_host()[r * columns + 1] = static_cast<float>(10 * (first + r));
    }
    for (Index r = 0; r < y.count(); ++r) y.write_host()[r] = static_cast<float>(first + r);
    h5->write("x", x);
    h5->write("y", y);
    h5->write_int("n", 1);
    h5->close();
    return file;
  }

  std::string layer(const std::vector<std::string>& files, int batch,
                    const std::string& more = {}) {
    std::string list;
    for (const std::string& file : files) list += file + "\n";
    return str("type: 'HDF5Data' hdf5_data_param { source: '", folder.write("list.txt", list),
               "' batch_size: ", batch, " ", more, " } top: 'x' top: 'y'");
  }

  static std::vector<float> labels(LayerHarness& h, int batches) {
    std::vector<float> all;
    for (int i = 0; i < batches; ++i) {
      h.forward();
      for (const float v : values(h.top(1).data)) all.push_back(v);
    }
    return all;
  }

  ScratchFolder folder;
};

TEST_F(Hdf5DataLayer, ReadsAcrossFilesAndWraps) {
  LayerHarness h(layer({write("a", 0, 3), write("b", 3, 2)}, 2), {}, {.tops = 2});
  EXPECT_EQ(h.top(0).shape(), Shape({2, 2}));
  EXPECT_EQ(h.top(1).shape(), Shape({2}));
  h.forward();
  expect_values(h.top(0).data, {0, 0, 1, 10});
  expect_values(h.top(1).data, {0, 1});
  h.forward();
  expect_values(h.top(0).data, {2, 20, 3, 30});
  h.forward();
  expect_values(h.top(0).data, {4, 40, 0, 0});
}

TEST_F(Hdf5DataLayer, ShufflesFilesAndRowsAnewInEachEpoch) {
  const std::string text = layer({write("a", 0, 20), write("b", 20, 20)}, 40, "shuffle: true");
  LayerHarness h(text, {}, {.tops = 2}), same(text, {}, {.tops = 2}), other(text, {}, {.tops = 2});
  other.ctx().seed = 5;
  const std::vector<float> first = labels(h, 1), second = labels(h, 1);
  std::vector<float> sorted = first, in_order(40);
  std::iota(in_order.begin(), in_order.end(), 0.0f);
  EXPECT_NE(first, in_order);
  EXPECT_NE(first, second);
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(sorted, in_order);
  EXPECT_EQ(labels(same, 1), first);
  EXPECT_NE(labels(other, 1), first);
  h.forward();
  const std::vector<float> x = values(h.top(0).data), y = values(h.top(1).data);
  for (std::size_t r = 0; r < y.size(); ++r) EXPECT_EQ(x[2 * r + 1], 10 * y[r]);
}

TEST_F(Hdf5DataLayer, ResumesExactlyAtACursor) {
  const std::string text = layer({write("a", 0, 5), write("b", 5, 6)}, 4, "shuffle: true");
  LayerHarness unbroken(text, {}, {.tops = 2}), resumed(text, {}, {.tops = 2});
  labels(unbroken, 4);
  EXPECT_EQ(unbroken.layer().cursor().records, 16u);
  resumed.layer().seek(unbroken.layer().cursor());
  EXPECT_EQ(labels(resumed, 8), labels(unbroken, 8));
}

TEST_F(Hdf5DataLayer, TakesEachLineOfItsListForAFile) {
  LayerHarness h(layer({write("with space", 0, 2) + " \r", "", " " + write("b", 2, 1)}, 3), {},
                 {.tops = 2});
  EXPECT_EQ(labels(h, 1), (std::vector<float>{0, 1, 2}));
}

TEST_F(Hdf5DataLayer, RefusesWhatItCannotReadWhenItIsSetUp) {
  const std::string file = folder / "strings";
  const auto h5 = create_hdf5(file);
  h5->write_string("x", "text");
  h5->close();
  EXPECT_ERROR(LayerHarness(layer({write("a", 0, 2), file}, 1), {}, {.tops = 2}),
               "list.txt:2: " + file + ": 'x' is of type string");
}

TEST_F(Hdf5DataLayer, SkipsFilesWithoutRows) {
  LayerHarness h(layer({write("a", 0, 0), write("b", 3, 2), write("c", 0, 0)}, 3), {}, {.tops = 2});
  EXPECT_EQ(labels(h, 2), (std::vector<float>{3, 4, 3, 4, 3, 4}));
}

TEST_F(Hdf5DataLayer, NamesWhatIsWrong) {
  const std::string a = write("a", 0, 3);
  EXPECT_ERROR(LayerHarness(layer({a, write("narrow", 0, 3, 3)}, 1), {}, {.tops = 2}),
               "narrow: rows of dataset 'x' are 1 x 3, in the first file they are 1 x 2");
  EXPECT_ERROR(LayerHarness(layer({write("uneven", 0, 3, 2, 4)}, 1), {}, {.tops = 2}),
               "uneven: dataset 'y' has 4 rows and 'x' has 3");
  EXPECT_ERROR(LayerHarness(layer({a, folder / "none"}, 1), {}, {.tops = 2}),
               "cannot read " + folder / "none");
  EXPECT_ERROR(LayerHarness(layer({}, 1), {}, {.tops = 2}), "lists 0 files and they have no rows");
  EXPECT_ERROR(LayerHarness(layer({write("empty", 0, 0)}, 1), {}, {.tops = 2}),
               "lists 1 files and they have no rows");
  EXPECT_ERROR(LayerHarness("type: 'HDF5Data' top: 'z' hdf5_data_param { source: '" +
                                folder.write("l", a) + "' batch_size: 1 }",
                            {}),
               "a has no dataset 'z'");
  const std::string type = "type: 'HDF5Data' top: 'x' ";
  EXPECT_ERROR(LayerHarness(type + "hdf5_data_param { source: 'nolist' batch_size: 1 }", {}),
               "cannot read nolist");
  EXPECT_ERROR(LayerHarness(type + "hdf5_data_param { source: 'x' }", {}),
               "batch_size must be at least 1");
  EXPECT_ERROR(LayerHarness(type, {}), "source is missing");
  EXPECT_ERROR(LayerHarness(layer({a}, 1) + " transform_param { }", {}, {.tops = 2}),
               "does not transform its data");
}

TEST_F(Hdf5DataLayer, NoticesAFileThatChanged) {
  LayerHarness h(layer({write("a", 0, 3)}, 1), {}, {.tops = 2});
  write("a", 0, 2);
  EXPECT_ERROR(h.forward(), "a has changed since training began");
}

}  // namespace
}  // namespace doppio
