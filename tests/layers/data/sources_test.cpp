// Data layers that read several databases as one, and the fingerprints of what they read.
#include <filesystem>
#include <opencv2/imgcodecs.hpp>

#include "data/storage/database.hpp"
#include "data/storage/hdf5.hpp"
#include "doppio.pb.h"
#include "doppio/extend/epoch.hpp"
#include "doppio/extend/fingerprint.hpp"
#include "support/layer_harness.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

namespace fs = std::filesystem;

class Sources : public testing::Test {
 protected:
  /// A record of 1 x 5 x 6 bytes n, n + 1, ... with label n.
  static std::string record(int n) {
    Datum datum;
    datum.set_channels(1);
    datum.set_height(5);
    datum.set_width(6);
    for (int i = 0; i < 30; ++i) datum.mutable_data()->push_back(static_cast<char>(n + i));
    datum.set_label(n);
    return datum.SerializeAsString();
  }

  /// A database of records `begin` to `end` - 1; record `special` is damaged.
  std::string make(const std::string& name, int begin, int end, Backend backend = Backend::lmdb,
                   int special = -1) {
    const auto writer = make_database(folder / name, backend, IfThere::replace);
    for (int i = begin; i < end; ++i)
      writer->put(str("key", 10 + i), i == special ? "\xff\xff" : record(i));
    writer->finish();
    return folder / name;
  }

  static std::string layer(const std::vector<std::string>& sources, const std::string& more = {},
                           int batch = 4) {
    std::string text = str("type: 'Data' data_param { batch_size: ", batch, " ", more);
    for (const std::string& source : sources) text += " source: '" + source + "'";
    return text + " } transform_param { crop_size: 3 mirror: true }";
  }

  /// The labels and pixels of `batches` batches.
  static std::vector<float> run(LayerHarness& h, int batches) {
    std::vector<float> all;
    for (int i = 0; i < batches; ++i) {
      h.forward();
      for (const int top : {0, 1}) {
        const std::vector<float> batch = values(h.top(top).data);
        all.insert(all.end(), batch.begin(), batch.end());
      }
    }
    return all;
  }
  static std::vector<float> run(const std::string& text, int batches) {
    LayerHarness h(text, {}, {.tops = 2});
    return run(h, batches);
  }

  static std::string fingerprint(const std::string& text, int tops = 2) {
    LayerHarness h(text, {}, {.tops = tops});
    return dynamic_cast<FingerprintedSource&>(h.layer()).fingerprint();
  }

  std::string image(const std::string& name, int value) {
    cv::imwrite(folder / name, cv::Mat(8, 8, CV_8UC3, cv::Scalar::all(value)));
    return name;
  }

  ScratchFolder folder;
};

TEST_F(Sources, SeveralDatabasesGiveTheBatchesOfOne) {
  for (const Backend backend : {Backend::lmdb, Backend::leveldb}) {
    const std::string one = make("one", 0, 10, backend);
    const std::string a = make("a", 0, 3, backend), b = make("b", 3, 9, backend),
                      c = make("c", 9, 10, backend), bc = make("bc", 3, 10, backend);
    for (const char* more :
         {"", "shuffle: true", "shards: 3 shard: 1", "shuffle: true shards: 2 shard: 1"}) {
      const std::vector<float> expected = run(layer({one}, more), 9);
      EXPECT_EQ(run(layer({a, bc}, more), 9), expected) << more;
      EXPECT_EQ(run(layer({a, b, c}, more), 9), expected) << more;
    }
  }
}

TEST_F(Sources, ResumeExactlyAtACursor) {
  const std::string a = make("a", 0, 3), b = make("b", 3, 10);
  const std::string a2 = make("a2", 0, 3, Backend::leveldb),
                    b2 = make("b2", 3, 10, Backend::leveldb);
  for (const char* more : {"", "shuffle: true"}) {
    const std::vector<float> all = run(layer({make("one", 0, 10)}, more), 9);
    for (const std::string& text : {layer({a, b}, more), layer({a2, b2}, more)}) {
      for (const unsigned begun : {1u, 2u, 7u}) {
        LayerHarness h(text, {}, {.tops = 2});
        h.layer().seek({4 * begun});
        const std::vector<float> rest = run(h, static_cast<int>(9 - begun));
        EXPECT_TRUE(std::equal(rest.rbegin(), rest.rend(), all.rbegin())) << text << begun;
      }
    }
  }
}

TEST_F(Sources, AnEpochIsAllRecords) {
  LayerHarness h(layer({make("a", 0, 3), make("b", 3, 10)}), {}, {.tops = 2});
  EXPECT_EQ(dynamic_cast<EpochSource&>(h.layer()).epoch(false), (Epoch{10, 4}));
  LayerHarness other(
      layer({make("a2", 0, 3, Backend::leveldb), make("b2", 3, 10, Backend::leveldb)}), {},
      {.tops = 2});
  EXPECT_EQ(dynamic_cast<EpochSource&>(other.layer()).epoch(false), std::nullopt);
  EXPECT_EQ(dynamic_cast<EpochSource&>(other.layer()).epoch(true), (Epoch{10, 4}));
}

TEST_F(Sources, WildcardsNameThemInOrder) {
  const std::vector<float> expected = run(layer({make("one", 0, 10)}), 5);
  make("part-1", 3, 9);
  make("part-0", 0, 3);
  make("last", 9, 10);
  EXPECT_EQ(run(layer({folder / "part-*", folder / "last"}), 5), expected);
  EXPECT_EQ(run(layer({folder / "part-?", folder / "last"}), 5), expected);
}

TEST_F(Sources, ItemsAreNamedByTheirDatabase) {
  const std::string a = make("a", 0, 3), b = make("b", 3, 10, Backend::lmdb, 7);
  LayerHarness h(layer({a, b}), {}, {.tops = 2});
  h.forward();
  EXPECT_EQ(h.layer().item_name(2), "database " + a + ", record 'key12'");
  EXPECT_EQ(h.layer().item_name(3), "database " + b + ", record 'key13'");
  EXPECT_ERROR(h.forward(), "database " + b + ", record 'key17': the record is damaged");
  LayerHarness skips(layer({a, b}, "on_error: SKIP"), {}, {.tops = 2});
  skips.forward();
  skips.forward();
  EXPECT_EQ(skips.layer().item_name(3), "database " + b + ", record 'key18'");
}

TEST_F(Sources, ErrorsNameTheSourceAndTheDatabase) {
  const std::string a = make("a", 0, 3), b = make("b", 3, 10, Backend::leveldb);
  const auto refused = [](const std::string& text) {
    try {
      LayerHarness(text, {}, {.tops = 2});
    } catch (const Error& e) {
      return e.field() + ": " + e.message();
    }
    return std::string();
  };
  EXPECT_EQ(refused(layer({a, b})), "") << "backends may be mixed";
  EXPECT_EQ(refused(layer({a, b}, "backend: LMDB")),
            "data_param.backend: " + b + " is a LevelDB database; write backend: LEVELDB");
  EXPECT_EQ(refused(layer({a, folder / "part-*"})),
            "data_param.source[1]: no folder matches " + folder / "part-*");
  EXPECT_EQ(refused(layer({a, ""})), "data_param.source[1]: source is empty");
  EXPECT_EQ(refused(layer({a, folder / "c"})), "data_param.source: no database at " + folder / "c");
  fs::create_directory(folder / "ab");
  EXPECT_EQ(refused(layer({folder / "a*"})), "data_param.source: no database at " + folder / "ab");
  EXPECT_EQ(refused(layer({a, make("empty", 0, 0)})),
            "data_param.source: the database " + folder / "empty" + " has no records");
}

TEST_F(Sources, DryRunsGuessTheShapeOfMissingOnes) {
  const std::string a = make("a", 0, 3);
  Context ctx;
  ctx.dry_run = true;
  for (const std::string& missing : {folder / "none", folder / "none*"}) {
    LayerParameter param;
    param.set_type("Data");
    param.mutable_data_param()->add_source(a);
    param.mutable_data_param()->add_source(missing);
    param.mutable_data_param()->set_batch_size(5);
    param.mutable_transform_param()->set_crop_size(7);
    Blob data;
    Blob* const tops[] = {&data};
    LayerRegistry::instance().find("Data", Device::cpu).make(param)->reshape(ctx, {}, tops);
    EXPECT_EQ(data.shape(), Shape({5, 3, 7, 7}));
  }
}

TEST_F(Sources, FingerprintOfDatabasesLeavesTheCursor) {
  for (const Backend backend : {Backend::lmdb, Backend::leveldb}) {
    const std::string text = layer({make("a", 0, 3, backend), make("b", 3, 10, backend)});
    const std::vector<float> expected = run(text, 6);
    LayerHarness h(text, {}, {.tops = 2});
    auto& source = dynamic_cast<FingerprintedSource&>(h.layer());
    const std::string first = source.fingerprint();
    std::vector<float> all = run(h, 3);
    EXPECT_EQ(source.fingerprint(), first);
    const std::vector<float> rest = run(h, 3);
    all.insert(all.end(), rest.begin(), rest.end());
    EXPECT_EQ(all, expected);

    const std::string copy = layer({make("c", 0, 3, backend), make("d", 3, 10, backend)});
    EXPECT_EQ(fingerprint(copy), first);
    EXPECT_NE(fingerprint(layer({make("c", 0, 3, backend), make("d", 3, 11, backend)})), first);
  }
}

TEST_F(Sources, FingerprintCoversTheMeanFile) {
  const auto mean = [&](float value) {
    BlobProto blob;
    for (const int n : {1, 1, 5, 6}) blob.mutable_shape()->add_dim(n);
    for (int i = 0; i < 30; ++i) blob.add_data(i < 29 ? 1 : value);
    return folder.write(str("mean", value), blob.SerializeAsString());
  };
  const std::string db =
      "type: 'Data' data_param { batch_size: 1 source: '" + make("a", 0, 3) + "' }";
  const auto with = [&](const std::string& file) {
    return fingerprint(db + " transform_param { mean_file: '" + file + "' }");
  };
  const std::string first = with(mean(1));
  EXPECT_TRUE(contains(first, "3 records, sample ")) << first;
  EXPECT_TRUE(contains(first, ", mean_file ")) << first;
  EXPECT_NE(with(mean(2)), first);
  const std::string copy = folder / "copy";
  fs::copy(mean(1), copy);
  EXPECT_EQ(with(copy), first);
  EXPECT_FALSE(contains(fingerprint(db), "mean"));
}

TEST_F(Sources, FingerprintOfAnImageListCoversListAndImages) {
  std::string list;
  for (int i = 0; i < 100; ++i) list += image(str(i, ".png"), i) + str(" ", i, "\n");
  const auto of = [&](const std::string& lines, const std::string& root) {
    return fingerprint("type: 'ImageData' image_data_param { batch_size: 1 source: '" +
                       folder.write("list.txt", lines) + "' root_folder: '" + root + "' }");
  };
  const std::string first = of(list, folder / "");
  EXPECT_TRUE(contains(first, "100 images, list ")) << first;
  fs::create_directory(folder / "copy");
  for (int i = 0; i < 100; ++i) fs::copy(folder / str(i, ".png"), folder / "copy");
  EXPECT_EQ(of(list, folder / "copy/"), first);
  EXPECT_NE(of(list + "0.png 0\n", folder / ""), first);
  image("copy/99.png", 1);
  EXPECT_NE(of(list, folder / "copy/"), first);
  fs::remove(folder / "copy/99.png");
  EXPECT_NE(of(list, folder / "copy/"), first) << "one that is missing counts as such";
}

TEST_F(Sources, FingerprintOfHdf5FilesCoversTheirBytes) {
  if (!built_with_hdf5()) GTEST_SKIP() << "this build has no HDF5";
  const auto of = [&](const std::string& name, float value) {
    Tensor rows;
    rows.reshape({3, 2});
    std::fill_n(rows.write_host(), 6, 1.0f);
    rows.write_host()[5] = value;
    const auto h5 = create_hdf5(folder / name);
    h5->write("x", rows);
    h5->close();
    return fingerprint("type: 'HDF5Data' top: 'x' hdf5_data_param { batch_size: 1 source: '" +
                           folder.write("list.txt", folder / name + "\n") + "' }",
                       1);
  };
  const std::string first = of("a.h5", 1);
  EXPECT_TRUE(contains(first, "3 rows of 1 files, ")) << first;
  EXPECT_EQ(of("b.h5", 1), first);
  EXPECT_NE(of("a.h5", 2), first);
}

TEST_F(Sources, FingerprintOfWindowsCoversListImagesAndMean) {
  image("a.png", 1);
  const auto of = [&](int x2, const std::string& transform) {
    const std::string list = folder.write(
        "windows.txt", str("# 0\na.png\n3\n8\n8\n2\n1 0.9 0 0 ", x2, " 4\n0 0 0 0 3 3\n"));
    return fingerprint("type: 'WindowData' window_data_param { batch_size: 2 source: '" + list +
                       "' root_folder: '" + folder / "" + "' } transform_param { crop_size: 4 " +
                       transform + " }");
  };
  const std::string first = of(4, "");
  EXPECT_TRUE(contains(first, "2 windows, list ")) << first;
  EXPECT_EQ(of(4, ""), first);
  EXPECT_NE(of(5, ""), first);
  EXPECT_NE(of(4, "mean_value: 3"), first);
  image("a.png", 2);
  EXPECT_NE(of(4, ""), first);
}

}  // namespace
}  // namespace doppio
