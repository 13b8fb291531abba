// How many records the data layers have, and the part of a batch that ends a pass over them.
#include "doppio/extend/epoch.hpp"

#include "data/convert_fixture.hpp"
#include "data/storage/database.hpp"
#include "data/storage/hdf5.hpp"
#include "doppio.pb.h"
#include "doppio/memory_data.hpp"
#include "support/layer_harness.hpp"

namespace doppio {
namespace {

class EpochOf : public ConvertTest {
 protected:
  static EpochSource& source(LayerHarness& h) { return dynamic_cast<EpochSource&>(h.layer()); }

  /// A database of `n` records of one pixel of value and label i, annotated or not.
  std::string database(int n, Backend backend, bool annotated = false) {
    const std::string path = folder / str("db", n, annotated, static_cast<int>(backend));
    const auto writer = make_database(path, backend);
    for (int i = 0; i < n; ++i) {
      AnnotatedDatum record;
      Datum& datum = *record.mutable_datum();
      datum.set_channels(1);
      datum.set_height(1);
      datum.set_width(1);
      datum.set_data(std::string(1, static_cast<char>(i)));
      datum.set_label(i);
      record.set_type(AnnotatedDatum::BBOX);
      AnnotationGroup& group = *record.add_annotation_group();
      group.set_group_label(i);
      NormalizedBBox& box = *group.add_annotation()->mutable_bbox();
      box.set_xmax(1);
      box.set_ymax(1);
      const std::string bytes = annotated ? record.SerializeAsString() : datum.SerializeAsString();
      writer->put(str("key", 10 + i), bytes);
    }
    writer->finish();
    return path;
  }
};

/// Expects batches of 2 over 5 records, of which the last one is cut, and then whole ones again.
void expect_cut(LayerHarness& h, EpochSource& source) {
  EXPECT_EQ(source.epoch(true), (Epoch{5, 2}));
  EXPECT_EQ(source.epoch(true)->batches(), 3);
  EXPECT_EQ(source.epoch(true)->last_batch(), 1);
  h.forward();
  expect_values(h.top(1).data, {0, 1});
  h.forward();
  source.show_first(1);
  h.reshape();
  h.forward();
  EXPECT_EQ(h.top(0).shape()[0], 1);
  expect_values(h.top(0).data, {4});
  expect_values(h.top(1).data, {4});
  source.show_first(2);
  h.reshape();
  h.forward();
  expect_values(h.top(0).data, {1, 2});
  expect_values(h.top(1).data, {1, 2});
}

TEST_F(EpochOf, DataIsTheNumberOfRecords) {
  for (const Backend backend : {Backend::lmdb, Backend::leveldb}) {
    LayerHarness h(
        str("type: 'Data' data_param { source: '", database(5, backend), "' batch_size: 2 }"), {},
        {.tops = 2});
    EXPECT_EQ(source(h).epoch(false).has_value(), backend == Backend::lmdb);
    expect_cut(h, source(h));
  }
}

TEST_F(EpochOf, AShardIsItsPartOfTheRecords) {
  const std::string db = database(5, Backend::lmdb);
  Index sum = 0;
  for (int shard = 0; shard < 3; ++shard) {
    LayerHarness h(str("type: 'Data' data_param { source: '", db,
                       "' batch_size: 4 shards: 3 shard: ", shard, " }"),
                   {}, {.tops = 2});
    sum += source(h).epoch(true)->records;
    EXPECT_EQ(source(h).epoch(true)->batches(), 1);
  }
  EXPECT_EQ(sum, 5);
}

TEST_F(EpochOf, ViewsOfAnImageStayTogether) {
  LayerHarness h(str("type: 'Data' phase: TEST data_param { source: '", database(3, Backend::lmdb),
                     "' batch_size: 2 } transform_param { views: 2 }"),
                 {}, {.tops = 2});
  EXPECT_EQ(source(h).epoch(true), (Epoch{3, 2}));
  h.forward();
  source(h).show_first(1);
  h.forward();
  expect_values(h.top(0).data, {2, 2});
  expect_values(h.top(1).data, {2});
}

TEST_F(EpochOf, AnnotatedDataShowsTheBoxesOfItsPart) {
  LayerHarness h(str("type: 'AnnotatedData' data_param { source: '",
                     database(3, Backend::lmdb, true), "' batch_size: 2 }"),
                 {}, {.tops = 2});
  EXPECT_EQ(source(h).epoch(true), (Epoch{3, 2}));
  h.forward();
  EXPECT_EQ(h.top(1).shape(), Shape({1, 1, 2, 8}));
  source(h).show_first(1);
  h.forward();
  expect_values(h.top(0).data, {2});
  expect_values(h.top(1).data, {0, 2, 0, 0, 0, 1, 1, 0});
}

TEST_F(EpochOf, ImageDataIsTheLengthOfTheList) {
  std::string list;
  for (int i = 0; i < 5; ++i)
    list += image(str(i, ".png"), 1, 1, cv::Scalar(i, i, i)) + str(" ", i, "\n");
  LayerHarness h(
      str("type: 'ImageData' image_data_param { source: '", folder.write("list.txt", list),
          "' root_folder: '", folder / "", "' batch_size: 2 is_color: false }"),
      {}, {.tops = 2});
  expect_cut(h, source(h));
}

TEST_F(EpochOf, Hdf5DataIsTheRowsOfAllFiles) {
  if (!built_with_hdf5()) GTEST_SKIP() << "this build has no HDF5";
  std::string list;
  for (const int first : {0, 3}) {
    Tensor rows;
    rows.reshape({first == 0 ? 3 : 2});
    for (Index r = 0; r < rows.count(); ++r) rows.write_host()[r] = static_cast<float>(first + r);
    const auto h5 = create_hdf5(folder / str(first, ".h5"));
    h5->write("x", rows);
    h5->write("y", rows);
    h5->close();
    list += folder / str(first, ".h5\n");
  }
  LayerHarness h(str("type: 'HDF5Data' hdf5_data_param { source: '", folder.write("list.txt", list),
                     "' batch_size: 2 } top: 'x' top: 'y'"),
                 {}, {.tops = 2});
  expect_cut(h, source(h));
}

TEST_F(EpochOf, MemoryDataIsWhatItWasGiven) {
  LayerHarness h(
      "type: 'MemoryData' memory_data_param { batch_size: 2 channels: 1 height: 1 width: 1 }", {},
      {.tops = 2});
  EXPECT_EQ(source(h).epoch(true), std::nullopt);
  set_memory_data(h.layer(), {1, 2, 3, 4}, {5, 6, 7, 8});
  EXPECT_EQ(source(h).epoch(true), (Epoch{4, 2}));
  source(h).show_first(1);
  h.reshape();
  h.forward();
  expect_values(h.top(1).data, {5});
  h.forward();
  expect_values(h.top(1).data, {7});
}

}  // namespace
}  // namespace doppio
