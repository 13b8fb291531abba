#include <glog/logging.h>

#include <algorithm>
#include <fstream>
#include <opencv2/imgcodecs.hpp>

#include "data/storage/lmdb.hpp"
#include "doppio.pb.h"
#include "layers/data/batch_feed.hpp"
#include "support/layer_harness.hpp"
#include "support/log_lines.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

class DataLayer : public testing::Test {
 protected:
  /// A record of 1 x `height` x `width` bytes n, n + 1, ... with label n.
  static std::string record(int n, int height, int width) {
    Datum datum;
    datum.set_channels(1);
    datum.set_height(height);
    datum.set_width(width);
    for (int i = 0; i < height * width; ++i)
      datum.mutable_data()->push_back(static_cast<char>(n + i));
    datum.set_label(n);
    return datum.SerializeAsString();
  }

  /// A database of `n` records of 1 x height x width; record `special`, if any, is `contents`.
  std::string make(int n, int height, int width, int special = -1,
                   const std::string& contents = {}) {
    std::string path = folder / str("db", n, "_", height, "_", width, "_", special);
    LmdbWriter writer(path);
    for (int i = 0; i < n; ++i)
      writer.put(str("key", 10 + i), i == special ? contents : record(i, height, width));
    writer.finish();
    return path;
  }

  static std::string layer(const std::string& source, int batch, const std::string& data = {},
                           const std::string& transform = {}, const std::string& more = {}) {
    return str("type: 'Data' data_param { backend: LMDB source: '", source, "' batch_size: ", batch,
               " ", data, " } transform_param { ", transform, " } ", more);
  }

  /// `batches` batches one after the other, as one vector.
  static std::vector<float> run(LayerHarness& h, int batches) {
    std::vector<float> all;
    for (int i = 0; i < batches; ++i) {
      h.forward();
      const std::vector<float> batch = values(h.top(0).data);
      all.insert(all.end(), batch.begin(), batch.end());
    }
    return all;
  }

  ScratchFolder folder;
};

TEST_F(DataLayer, ReadsRecordsInOrderAndWrapsAround) {
  LayerHarness h(layer(make(3, 1, 2), 2), {}, {.tops = 2});
  EXPECT_EQ(h.top(0).shape(), Shape({2, 1, 1, 2}));
  EXPECT_EQ(h.top(1).shape(), Shape({2}));
  h.forward();
  expect_values(h.top(0).data, {0, 1, 1, 2});
  expect_values(h.top(1).data, {0, 1});
  h.forward();
  expect_values(h.top(0).data, {2, 3, 0, 1});
  expect_values(h.top(1).data, {2, 0});
  h.forward();
  expect_values(h.top(1).data, {1, 2});
}

TEST_F(DataLayer, LabelsAreOptional) {
  LayerHarness h(layer(make(1, 1, 2), 1), {});
  h.forward();
  expect_values(h.top(0).data, {0, 1});
}

TEST_F(DataLayer, TransformsAndSizesByTheCrop) {
  LayerHarness h(layer(make(2, 3, 3), 1, "", "crop_size: 1 scale: 2 mean_value: 1", "phase: TEST"),
                 {}, {.tops = 2});
  EXPECT_EQ(h.top(0).shape(), Shape({1, 1, 1, 1}));
  h.forward();
  expect_values(h.top(0).data, {6});
}

TEST_F(DataLayer, GivesTheViewsOfAnImageOneAfterAnother) {
  LayerHarness h(layer(make(2, 2, 2), 2, "", "crop_size: 1 views: 10", "phase: TEST"), {},
                 {.tops = 2});
  EXPECT_EQ(h.top(0).shape(), Shape({20, 1, 1, 1}));
  EXPECT_EQ(h.top(1).shape(), Shape({2}));
  h.forward();
  expect_values(h.top(0).data, {0, 1, 2, 3, 0, 0, 1, 2, 3, 0, 1, 2, 3, 4, 1, 1, 2, 3, 4, 1});
  expect_values(h.top(1).data, {0, 1});
}

constexpr char kRandomCrop[] = "crop_size: 3 mirror: true";

TEST_F(DataLayer, BatchesDoNotDependOnTheNumberOfThreads) {
  const std::string db = make(10, 8, 9);
  LayerHarness one(layer(db, 7, "threads: 1", kRandomCrop), {}, {.tops = 2});
  const std::vector<float> expected = run(one, 9);
  for (const int threads : {0, 2, 4}) {
    LayerHarness h(layer(db, 7, str("threads: ", threads, " prefetch: 2"), kRandomCrop), {},
                   {.tops = 2});
    EXPECT_EQ(run(h, 9), expected) << threads;
  }
}

TEST_F(DataLayer, RecordsDoNotDependOnTheBatchSize) {
  const std::string db = make(10, 8, 9);
  LayerHarness small(layer(db, 3, "", kRandomCrop), {}, {.tops = 2}),
      large(layer(db, 9, "", kRandomCrop), {}, {.tops = 2});
  EXPECT_EQ(run(small, 9), run(large, 3));
}

TEST_F(DataLayer, RandomCropsDifferByEpochAndSeed) {
  const std::string db = make(4, 8, 9);
  LayerHarness a(layer(db, 4, "", kRandomCrop), {}, {.tops = 2}),
      b(layer(db, 4, "", kRandomCrop), {}, {.tops = 2});
  b.ctx().seed = 99;
  const std::vector<float> first = run(a, 1), second = run(a, 1);
  EXPECT_NE(first, second);
  EXPECT_NE(first, run(b, 1));
}

TEST_F(DataLayer, ResumesExactlyAtACursor) {
  const std::string db = make(10, 8, 9);
  const std::string text = layer(db, 4, "", kRandomCrop);
  LayerHarness unbroken(text, {}, {.tops = 2});
  run(unbroken, 4);
  const Cursor cursor = unbroken.layer().cursor();
  EXPECT_EQ(cursor.records, 16u);
  const std::vector<float> expected = run(unbroken, 6);

  LayerHarness resumed(text, {}, {.tops = 2});
  resumed.layer().seek(cursor);
  EXPECT_EQ(run(resumed, 6), expected);
  resumed.layer().seek(cursor);
  EXPECT_EQ(run(resumed, 6), expected);
  EXPECT_EQ(resumed.layer().cursor().records, 40u);
}

TEST_F(DataLayer, CountsTheTimeSpentWaiting) {
  LayerHarness h(layer(make(2, 64, 64), 100, "threads: 1 prefetch: 1"), {}, {.tops = 2});
  EXPECT_EQ(h.layer().input_wait_seconds(), 0);
  run(h, 20);  // faster than one thread can make them
  const double waited = h.layer().input_wait_seconds();
  EXPECT_GT(waited, 0);
  h.layer().seek({});
  EXPECT_EQ(h.layer().input_wait_seconds(), waited);
}

TEST(BatchesAhead, AreAsManyAsAreWorthTheirMemory) {
  constexpr Index kMiB = Index{1} << 20, alexnet = Index{256} * 3 * 227 * 227;
  EXPECT_EQ(batches_ahead({}, 1, false), 4);
  EXPECT_EQ(batches_ahead({}, 20 * kMiB, true), 3);
  EXPECT_EQ(batches_ahead({}, alexnet, false), 1);
  EXPECT_EQ(batches_ahead({}, alexnet, true), 2) << "one is copied, one is made";
  EXPECT_EQ(batches_ahead({}, 4 * alexnet, true), 2);
  EXPECT_EQ(batches_ahead({.prefetch = 1}, alexnet, true), 1) << "as the user wishes";
}

TEST_F(DataLayer, LogsTheStartOfAnEpochAsCaffeDoes) {
  Lines log;
  {
    LayerHarness h(layer(make(3, 1, 1), 3, "prefetch: 1 threads: 1"), {}, {.tops = 2});
    h.forward();
  }
  EXPECT_TRUE(contains(log.all(), "Restarting data prefetching from start."));
}

TEST_F(DataLayer, DryRunGuessesTheShapeOfAMissingDatabase) {
  LayerParameter param;
  param.set_type("Data");
  param.mutable_data_param()->add_source(folder / "none_lmdb");
  param.mutable_data_param()->set_batch_size(5);
  Context ctx;
  ctx.dry_run = true;
  Blob data, labels;
  Blob* const tops[] = {&data, &labels};
  const auto make_layer = [&] {
    return LayerRegistry::instance().find("Data", Device::cpu).make(param);
  };
  EXPECT_ERROR(make_layer()->reshape(ctx, {}, tops), "no database at");
  param.mutable_transform_param()->set_crop_size(227);
  Lines log;
  make_layer()->reshape(ctx, {}, tops);
  EXPECT_EQ(data.shape(), Shape({5, 3, 227, 227}));
  EXPECT_EQ(labels.shape(), Shape({5}));
  EXPECT_TRUE(contains(log.all(), "assuming images of 3 x 227 x 227"));
  ctx.dry_run = false;
  EXPECT_ERROR(make_layer()->reshape(ctx, {}, tops), "no database at");
}

TEST_F(DataLayer, NamesTheRecordThatIsDamaged) {
  const std::string db = make(6, 1, 2, 4, "\xff\xff");
  LayerHarness h(layer(db, 2), {}, {.tops = 2});
  h.forward();
  h.forward();
  expect_values(h.top(1).data, {2, 3});
  const std::string error = "database " + db + ", record 'key14': the record is damaged";
  EXPECT_ERROR(h.forward(), error);
  EXPECT_ERROR(h.forward(), error);
  h.layer().seek({2});
  h.forward();
  expect_values(h.top(1).data, {2, 3});
}

TEST_F(DataLayer, ImagesOfDifferentSizesNeedCropSize) {
  const std::string db = make(2, 2, 3, 1, record(1, 3, 3));
  LayerHarness whole(layer(db, 2), {}, {.tops = 2});
  EXPECT_ERROR(whole.forward(),
               "record 'key11': the image is 1 x 3 x 3 and the first one 1 x 2 x 3");
  LayerHarness crop(layer(db, 2, "", "crop_size: 1", "phase: TEST"), {}, {.tops = 2});
  crop.forward();
  expect_values(crop.top(0).data, {1, 5});
}

TEST_F(DataLayer, RefusesLabelsThatAFloatCannotHold) {
  Datum datum;
  ASSERT_TRUE(datum.ParseFromString(record(0, 1, 2)));
  datum.set_label((1 << 24) + 1);
  LayerHarness h(layer(make(2, 1, 2, 1, datum.SerializeAsString()), 2), {}, {.tops = 2});
  EXPECT_ERROR(h.forward(), "record 'key11': label 16777217 is too large");
}

TEST_F(DataLayer, FirstRecordErrorsNameItToo) {
  EXPECT_ERROR(LayerHarness(layer(make(2, 2, 2), 1, "", "crop_size: 3"), {}, {.tops = 2}),
               "record 'key10': crop_size 3 exceeds the image, 1 x 2 x 2");
}

TEST_F(DataLayer, DetectsTheBackend) {
  const std::string lmdb = make(1, 1, 1);
  EXPECT_NO_THROW(LayerHarness("type: 'Data' data_param { batch_size: 1 source: '" + lmdb + "' }",
                               {}, {.tops = 2}));
  EXPECT_ERROR(LayerHarness(str("type: 'Data' data_param { batch_size: 1 backend: LEVELDB "
                                "source: '",
                                lmdb, "' }"),
                            {}, {.tops = 2}),
               "is an LMDB database; write backend: LMDB");
  const std::string leveldb = folder / "leveldb";
  const auto writer = make_database(leveldb, Backend::leveldb);
  for (int i = 0; i < 3; ++i) writer->put(str("key", i), record(i, 1, 1));
  writer->finish();
  LayerHarness h("type: 'Data' data_param { batch_size: 2 source: '" + leveldb + "' }", {},
                 {.tops = 2});
  h.forward();
  h.forward();
  expect_values(h.top(1).data, {2, 0});
  EXPECT_ERROR(LayerHarness(layer(leveldb, 1), {}, {.tops = 2}),
               "is a LevelDB database; write backend: LEVELDB");
}

TEST_F(DataLayer, ShufflesEveryEpochDifferently) {
  const std::string db = make(20, 1, 1);
  LayerHarness h(layer(db, 20, "shuffle: true"), {}, {.tops = 2});
  std::vector<std::vector<float>> epochs;
  for (int epoch = 0; epoch < 3; ++epoch) {
    h.forward();
    epochs.push_back(values(h.top(1).data));
    EXPECT_EQ(values(h.top(0).data), epochs.back());  // data and label stay together
    EXPECT_FALSE(std::is_sorted(epochs.back().begin(), epochs.back().end()));
    std::vector<float> sorted = epochs.back();
    std::sort(sorted.begin(), sorted.end());
    for (int i = 0; i < 20; ++i) EXPECT_EQ(sorted[static_cast<std::size_t>(i)], i);
  }
  EXPECT_NE(epochs[0], epochs[1]);
  EXPECT_NE(epochs[1], epochs[2]);
  LayerHarness other(layer(db, 20, "shuffle: true"), {}, {.tops = 2});
  other.ctx().seed = 99;
  EXPECT_NE(run(other, 1), epochs[0]);
}

TEST_F(DataLayer, ShufflingDependsNeitherOnThreadsNorOnAnInterruption) {
  const std::string db = make(10, 8, 9);
  LayerHarness one(layer(db, 7, "shuffle: true threads: 1", kRandomCrop), {}, {.tops = 2});
  const std::vector<float> expected = run(one, 9);
  for (const int threads : {2, 4}) {
    LayerHarness h(layer(db, 7, str("shuffle: true threads: ", threads), kRandomCrop), {},
                   {.tops = 2});
    EXPECT_EQ(run(h, 9), expected) << threads;
    h.layer().seek({7 * 4});
    const std::vector<float> rest = run(h, 5);
    EXPECT_TRUE(std::equal(rest.begin(), rest.end(),
                           expected.end() - static_cast<std::ptrdiff_t>(rest.size())));
  }
}

TEST_F(DataLayer, ShardsAreDisjointAndTogetherAnEpoch) {
  const std::string db = make(12, 8, 9);
  for (const std::string shuffle : {"", "shuffle: true "}) {
    LayerHarness whole(layer(db, 12, shuffle, kRandomCrop), {}, {.tops = 2});
    const std::vector<float> all = run(whole, 2);
    const auto item = static_cast<std::ptrdiff_t>(all.size() / 24);
    for (int shard = 0; shard < 3; ++shard) {
      LayerHarness h(layer(db, 4, str(shuffle, "shards: 3 shard: ", shard), kRandomCrop), {},
                     {.tops = 2});
      const std::vector<float> part = run(h, 2);
      for (int k = 0; k < 8; ++k)
        EXPECT_TRUE(std::equal(part.begin() + k * item, part.begin() + (k + 1) * item,
                               all.begin() + (3 * k + shard) * item))
            << shuffle << shard << " " << k;
    }
  }
}

TEST_F(DataLayer, SkipsDamagedRecordsWhenAsked) {
  const std::string db = make(6, 1, 2, 4, "\xff\xff");
  Lines log;
  for (const int threads : {1, 3}) {
    LayerHarness h(layer(db, 3, str("on_error: SKIP threads: ", threads)), {}, {.tops = 2});
    h.forward();
    h.forward();
    expect_values(h.top(1).data, {3, 5, 5});
    expect_values(h.top(0).data, {3, 4, 5, 6, 5, 6});
    EXPECT_EQ(h.layer().item_name(1), "database " + db + ", record 'key15'");
  }
  EXPECT_TRUE(contains(log.all(), "skipped database " + db + ", record 'key14': the record is"));
  LayerHarness strict(layer(db, 6, "on_error: SKIP max_skipped: 0"), {}, {.tops = 2});
  EXPECT_ERROR(strict.forward(),
               "1 of 6 images cannot be used, and max_skipped allows 0; the last one: "
               "database " +
                   db + ", record 'key14': the record is damaged");
}

TEST_F(DataLayer, TheFirstRecordMayBeSkippedToo) {
  const std::string db = make(3, 1, 2, 0, "\xff\xff");
  LayerHarness h(layer(db, 3, "on_error: SKIP"), {}, {.tops = 2});
  h.forward();
  expect_values(h.top(1).data, {1, 1, 2});
  LayerHarness shuffled(layer(db, 3, "on_error: SKIP shuffle: true"), {}, {.tops = 2});
  shuffled.forward();
  for (const float label : values(shuffled.top(1).data)) EXPECT_GT(label, 0);
}

TEST_F(DataLayer, DamagedRecordsThroughoutAreAnError) {
  const std::string db = folder / "bad";
  LmdbWriter writer(db);
  for (int i = 0; i < 3; ++i) writer.put(str(i), "\xff");
  writer.finish();
  EXPECT_ERROR(LayerHarness(layer(db, 1, "on_error: SKIP max_skipped: 1"), {}, {.tops = 2}),
               "none of 3 images can be used; the last one: ");
}

TEST_F(DataLayer, NamesTheRecordOfAnItem) {
  const std::string db = make(3, 1, 2);
  LayerHarness h(layer(db, 2), {}, {.tops = 2});
  EXPECT_EQ(h.layer().item_name(0), "");
  h.forward();
  h.forward();
  EXPECT_EQ(h.layer().item_name(0), "database " + db + ", record 'key12'");
  EXPECT_EQ(h.layer().item_name(1), "database " + db + ", record 'key10'");
  EXPECT_EQ(h.layer().item_name(2), "");
}

TEST_F(DataLayer, BatchesOfOneMayDifferInSize) {
  const std::string db = make(2, 2, 3, 1, record(1, 1, 2));
  LayerHarness h(layer(db, 1, "", "scale: 2"), {}, {.tops = 2});
  for (int epoch = 0; epoch < 3; ++epoch) {
    h.reshape();
    h.forward();
    EXPECT_EQ(h.top(0).shape(), Shape({1, 1, 2, 3}));
    expect_values(h.top(0).data, {0, 2, 4, 6, 8, 10});
    h.reshape();
    h.forward();
    EXPECT_EQ(h.top(0).shape(), Shape({1, 1, 1, 2}));
    expect_values(h.top(0).data, {2, 4});
  }
}

TEST_F(DataLayer, DecodesLargeJpegsAtReducedScale) {
  std::vector<unsigned char> jpeg;
  cv::imencode(".jpg", cv::Mat(80, 120, CV_8UC3, cv::Scalar(10, 20, 30)), jpeg);
  Datum datum;
  datum.set_encoded(true);
  datum.set_data(jpeg.data(), jpeg.size());
  const std::string db = make(1, 1, 1, 0, datum.SerializeAsString());
  const auto shape = [&](const std::string& data) {
    return LayerHarness(layer(db, 1, data), {}, {.tops = 2}).top(0).shape();
  };
  EXPECT_EQ(shape(""), Shape({1, 3, 80, 120}));
  EXPECT_EQ(shape("min_side: 41"), Shape({1, 3, 80, 120}));
  EXPECT_EQ(shape("min_side: 40"), Shape({1, 3, 40, 60}));
  EXPECT_ERROR(LayerHarness(layer(db, 1, "min_side: 20", "crop_size: 30"), {}, {.tops = 2}),
               "min_side 20 is less than crop_size 30");
}

TEST_F(DataLayer, RefusesIncompleteParameters) {
  const auto refused = [](const std::string& text) {
    return error_of([&] { LayerHarness("type: 'Data' " + text, {}, {.tops = 2}); });
  };
  EXPECT_EQ(refused(""), "source is missing");
  EXPECT_EQ(refused("data_param { source: 'x' }"), "batch_size must be at least 1");
  EXPECT_EQ(refused("data_param { source: 'x' batch_size: 1 prefetch: 0 }"),
            "prefetch must be at least 1");
  EXPECT_EQ(refused("data_param { source: 'x' batch_size: 1 threads: 2000 }"),
            "threads must be at most 1024");
  EXPECT_EQ(refused("data_param { source: 'x' batch_size: 1 shards: 2 shard: 2 }"),
            "shard 2 of 2 shards: shard must be from 0 to shards - 1");
  EXPECT_EQ(refused("data_param { source: 'x' batch_size: 1 max_skipped: 2 }"),
            "max_skipped 2 is out of range; it must be from 0 to 1");
  EXPECT_TRUE(contains(refused("data_param { source: 'x' batch_size: 1 backend: LMDB }"),
                       "no database at x"));
}

}  // namespace
}  // namespace doppio
