#include <glog/logging.h>

#include <fstream>

#include "data/lmdb.hpp"
#include "doppio.pb.h"
#include "support/layer_harness.hpp"
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
    const std::string path = folder / str("db", n, "_", height, "_", width, "_", special);
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

TEST_F(DataLayer, ReadsInOrderAndWraps) {
  LayerHarness h(layer(make(3, 1, 2), 2), {}, 2);
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
  LayerHarness h(layer(make(1, 1, 2), 1), {}, 1);
  h.forward();
  expect_values(h.top(0).data, {0, 1});
}

TEST_F(DataLayer, TransformsAndSizesByTheCrop) {
  LayerHarness h(layer(make(2, 3, 3), 1, "", "crop_size: 1 scale: 2 mean_value: 1", "phase: TEST"),
                 {}, 2);
  EXPECT_EQ(h.top(0).shape(), Shape({1, 1, 1, 1}));
  h.forward();
  expect_values(h.top(0).data, {6});
}

TEST_F(DataLayer, GivesTheViewsOfAnImageOneAfterAnother) {
  LayerHarness h(layer(make(2, 2, 2), 2, "", "crop_size: 1 views: 10", "phase: TEST"), {}, 2);
  EXPECT_EQ(h.top(0).shape(), Shape({20, 1, 1, 1}));
  EXPECT_EQ(h.top(1).shape(), Shape({2}));
  h.forward();
  expect_values(h.top(0).data, {0, 1, 2, 3, 0, 0, 1, 2, 3, 0, 1, 2, 3, 4, 1, 1, 2, 3, 4, 1});
  expect_values(h.top(1).data, {0, 1});
}

constexpr char kRandomCrop[] = "crop_size: 3 mirror: true";

TEST_F(DataLayer, BatchesDoNotDependOnTheNumberOfThreads) {
  const std::string db = make(10, 8, 9);
  LayerHarness one(layer(db, 7, "threads: 1", kRandomCrop), {}, 2);
  const std::vector<float> expected = run(one, 9);
  for (const int threads : {0, 2, 4}) {
    LayerHarness h(layer(db, 7, str("threads: ", threads, " prefetch: 2"), kRandomCrop), {}, 2);
    EXPECT_EQ(run(h, 9), expected) << threads;
  }
}

TEST_F(DataLayer, RecordsDoNotDependOnTheBatchSize) {
  const std::string db = make(10, 8, 9);
  LayerHarness small(layer(db, 3, "", kRandomCrop), {}, 2),
      large(layer(db, 9, "", kRandomCrop), {}, 2);
  EXPECT_EQ(run(small, 9), run(large, 3));
}

TEST_F(DataLayer, EveryEpochAndSeedDrawsAnew) {
  const std::string db = make(4, 8, 9);
  LayerHarness a(layer(db, 4, "", kRandomCrop), {}, 2), b(layer(db, 4, "", kRandomCrop), {}, 2);
  b.ctx().seed = 99;
  const std::vector<float> first = run(a, 1), second = run(a, 1);
  EXPECT_NE(first, second);
  EXPECT_NE(first, run(b, 1));
}

TEST_F(DataLayer, ResumesExactlyAtACursor) {
  const std::string db = make(10, 8, 9);
  const std::string text = layer(db, 4, "", kRandomCrop);
  LayerHarness unbroken(text, {}, 2);
  run(unbroken, 4);
  const Cursor cursor = unbroken.layer().cursor();
  EXPECT_EQ(cursor.records, 16u);
  const std::vector<float> expected = run(unbroken, 6);

  LayerHarness resumed(text, {}, 2);
  resumed.layer().seek(cursor);
  EXPECT_EQ(run(resumed, 6), expected);
  resumed.layer().seek(cursor);
  EXPECT_EQ(run(resumed, 6), expected);
  EXPECT_EQ(resumed.layer().cursor().records, 40u);
}

TEST_F(DataLayer, CountsTheTimeSpentWaiting) {
  LayerHarness h(layer(make(2, 64, 64), 100, "threads: 1 prefetch: 1"), {}, 2);
  EXPECT_EQ(h.layer().input_wait_seconds(), 0);
  run(h, 20);  // faster than one thread can make them
  const double waited = h.layer().input_wait_seconds();
  EXPECT_GT(waited, 0);
  h.layer().seek({});
  EXPECT_EQ(h.layer().input_wait_seconds(), waited);
}

/// Collects log lines while it lives.
class CaughtLog : public google::LogSink {
 public:
  CaughtLog() { google::AddLogSink(this); }
  ~CaughtLog() override { google::RemoveLogSink(this); }
  void send(google::LogSeverity, const char*, const char*, int, const google::LogMessageTime&,
            const char* message, std::size_t length) override {
    text.append(message, length).append("\n");
  }
  std::string text;
};

TEST_F(DataLayer, LogsTheStartOfAnEpochAsCaffeDoes) {
  CaughtLog log;
  {
    LayerHarness h(layer(make(3, 1, 1), 3, "prefetch: 1 threads: 1"), {}, 2);
    h.forward();
  }
  EXPECT_TRUE(contains(log.text, "Restarting data prefetching from start."));
}

TEST_F(DataLayer, DryRunGuessesTheShapeOfAMissingDatabase) {
  LayerParameter param;
  param.set_type("Data");
  param.mutable_data_param()->set_source(folder / "none_lmdb");
  param.mutable_data_param()->set_batch_size(5);
  Context ctx;
  ctx.dry_run = true;
  Blob data, labels;
  Blob* const tops[] = {&data, &labels};
  const auto make_layer = [&] {
    return LayerRegistry::instance().find("Data", Device::cpu).make(param);
  };
  EXPECT_TRUE(contains(error_of([&] { make_layer()->reshape(ctx, {}, tops); }), "no database at"));
  param.mutable_transform_param()->set_crop_size(227);
  CaughtLog log;
  make_layer()->reshape(ctx, {}, tops);
  EXPECT_EQ(data.shape(), Shape({5, 3, 227, 227}));
  EXPECT_EQ(labels.shape(), Shape({5}));
  EXPECT_TRUE(contains(log.text, "assuming images of 3 x 227 x 227"));
  ctx.dry_run = false;
  EXPECT_TRUE(contains(error_of([&] { make_layer()->reshape(ctx, {}, tops); }), "no database at"));
}

TEST_F(DataLayer, NamesTheRecordThatIsDamaged) {
  const std::string db = make(6, 1, 2, 4, "\xff\xff");
  LayerHarness h(layer(db, 2), {}, 2);
  h.forward();
  h.forward();
  expect_values(h.top(1).data, {2, 3});
  const std::string error = "database " + db + ", record 'key14': the record is damaged";
  EXPECT_TRUE(contains(error_of([&] { h.forward(); }), error));
  EXPECT_TRUE(contains(error_of([&] { h.forward(); }), error));
  h.layer().seek({2});
  h.forward();
  expect_values(h.top(1).data, {2, 3});
}

TEST_F(DataLayer, AnotherSizeNeedsACrop) {
  const std::string db = make(2, 2, 3, 1, record(1, 3, 3));
  LayerHarness whole(layer(db, 2), {}, 2);
  EXPECT_TRUE(contains(error_of([&] { whole.forward(); }),
                       "record 'key11': the image is 1 x 3 x 3 and the first one 1 x 2 x 3"));
  LayerHarness crop(layer(db, 2, "", "crop_size: 1", "phase: TEST"), {}, 2);
  crop.forward();
  expect_values(crop.top(0).data, {1, 5});
}

TEST_F(DataLayer, RefusesLabelsThatAFloatCannotHold) {
  Datum datum;
  ASSERT_TRUE(datum.ParseFromString(record(0, 1, 2)));
  datum.set_label((1 << 24) + 1);
  LayerHarness h(layer(make(2, 1, 2, 1, datum.SerializeAsString()), 2), {}, 2);
  EXPECT_TRUE(
      contains(error_of([&] { h.forward(); }), "record 'key11': label 16777217 is too large"));
}

TEST_F(DataLayer, FirstRecordErrorsNameItToo) {
  EXPECT_TRUE(
      contains(error_of([&] { LayerHarness(layer(make(2, 2, 2), 1, "", "crop_size: 3"), {}, 2); }),
               "record 'key10': crop_size 3 exceeds the image, 1 x 2 x 2"));
}

TEST_F(DataLayer, BackendIsWhatIsThere) {
  const std::string lmdb = make(1, 1, 1);
  EXPECT_NO_THROW(
      LayerHarness("type: 'Data' data_param { batch_size: 1 source: '" + lmdb + "' }", {}, 2));
  EXPECT_TRUE(contains(error_of([&] {
                         LayerHarness(
                             str("type: 'Data' data_param { batch_size: 1 backend: LEVELDB "
                                 "source: '",
                                 lmdb, "' }"),
                             {}, 2);
                       }),
                       "is an LMDB database; write backend: LMDB"));
  const std::string leveldb = folder / "leveldb";
  std::filesystem::create_directory(leveldb);
  folder.write("leveldb/CURRENT", "");
  EXPECT_TRUE(contains(
      error_of([&] {
        LayerHarness("type: 'Data' data_param { batch_size: 1 source: '" + leveldb + "' }", {}, 2);
      }),
      "LevelDB is not supported yet; make " + leveldb + " again as LMDB"));
}

TEST_F(DataLayer, RefusesIncompleteParameters) {
  const auto refused = [](const std::string& text) {
    return error_of([&] { LayerHarness("type: 'Data' " + text, {}, 2); });
  };
  EXPECT_EQ(refused(""), "source is missing");
  EXPECT_EQ(refused("data_param { source: 'x' }"), "batch_size must be at least 1");
  EXPECT_EQ(refused("data_param { source: 'x' batch_size: 1 prefetch: 0 }"),
            "prefetch must be at least 1");
  EXPECT_EQ(refused("data_param { source: 'x' batch_size: 1 threads: 2000 }"),
            "threads must be at most 1024");
  EXPECT_TRUE(contains(refused("data_param { source: 'x' batch_size: 1 backend: LMDB }"),
                       "no database at x"));
}

}  // namespace
}  // namespace doppio
