// `doppio extract`: features of a blob in a database.
#include <filesystem>

#include "data/storage/database.hpp"
#include "doppio.pb.h"
#include "doppio/net.hpp"
#include "support/layer_harness.hpp"
#include "support/scratch_folder.hpp"
#include "tools/run_command.hpp"

namespace doppio {
namespace {

constexpr const char* kNet = R"(
layer { name: "x" type: "DummyData" top: "x" dummy_data_param { data_filler { value: 2 } shape { dim: 3 dim: 2 dim: 1 dim: 2 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param { num_output: 5 } }
layer { name: "r" type: "ReLU" bottom: "ip" top: "r" }
layer { name: "sum" type: "Reduction" bottom: "r" top: "sum" }
)";

class Extract : public testing::Test {
 protected:
  Extract() {
    Context ctx;
    Net net(ctx, model, TEST);
    set_values(net.layer("ip").layer->params[1].data, {1, 2, 3, 4, 5});
    net.save(weights);
  }

  Outcome extract(const std::vector<std::string>& more) const {
    std::vector<std::string> arguments = {"extract", "--model=" + model, "--weights=" + weights,
                                          "--iterations=2"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_doppio(arguments);
  }

  ScratchFolder folder;
  std::string model = folder.write("net.prototxt", kNet), weights = folder / "w.caffemodel";
  std::string db = folder / "db", other = folder / "other";
};

TEST_F(Extract, WritesADatumPerItem) {
  const Outcome r = extract({"r,x", db + "," + other});
  ASSERT_EQ(r.exit_code, 0) << r.err;
  EXPECT_TRUE(contains(r.err, "] Extracted features of 6 items for blob r to " + db)) << r.err;
  const auto reader = open_database(db);
  EXPECT_EQ(reader->size(), 6);
  const Record last = reader->at(5);
  EXPECT_EQ(last.key, "0000000005");
  Datum datum;
  ASSERT_TRUE(datum.ParseFromString(std::string(last.value)));
  EXPECT_EQ(
      datum.ShortDebugString(),
      "channels: 5 height: 1 width: 1 float_data: 1 float_data: 2 float_data: 3 float_data: 4 "
      "float_data: 5");
  ASSERT_TRUE(datum.ParseFromString(std::string(open_database(other)->at(0).value)));
  EXPECT_EQ(datum.ShortDebugString(),
            "channels: 2 height: 1 width: 2 float_data: 2 float_data: 2 float_data: 2 float_data: "
            "2");
}

TEST_F(Extract, WritesLevelDbToo) {
  ASSERT_EQ(extract({"r", db, "--backend=leveldb"}).exit_code, 0);
  EXPECT_EQ(find_backend(db), Backend::leveldb);
  EXPECT_EQ(open_database(db)->at(5).key, "0000000005");
}

TEST_F(Extract, EachBlobNeedsADatabaseOfItsOwn) {
  namespace fs = std::filesystem;
  fs::create_directory(folder / "sub");
  fs::create_directory_symlink(".", folder / "here");
  for (const std::string& again :
       {db, db + "/", folder / "./db", folder / "sub/../db", folder / "here/db"}) {
    const Outcome r = extract({"r,x", db + "," + again, "--overwrite"});
    EXPECT_EQ(r.exit_code, 2) << again;
    EXPECT_TRUE(contains(r.err, "are one database")) << r.err;
  }
  EXPECT_EQ(extract({"r,x", db + "," + db + "/inner"}).exit_code, 2);
  EXPECT_EQ(extract({"r,x", db + ".partial," + db}).exit_code, 2);
  EXPECT_FALSE(fs::exists(db));
}

TEST_F(Extract, TheDatabaseThatTheNetReadsIsNoPlaceForResults) {
  ASSERT_EQ(extract({"r", db}).exit_code, 0);
  const std::string reads = folder.write(
      "reads.prototxt", "layer { name: 'd' type: 'Data' top: 'd' data_param { source: '" + db +
                            "' backend: LMDB batch_size: 2 } }\n");
  const std::string reads_several = folder.write(
      "several.prototxt", "layer { name: 'd' type: 'Data' top: 'd' data_param { source: '" +
                              folder / "none" + "' source: '" + folder / "d?" +
                              "' backend: LMDB batch_size: 2 } }\n");
  for (const std::string& reader : {reads, reads_several}) {
    const Outcome r = extract({"d", folder / "./db", "--model=" + reader, "--overwrite"});
    EXPECT_EQ(r.exit_code, 2);
    EXPECT_TRUE(contains(r.err, "is the database that layer 'd' reads")) << r.err;
  }
  EXPECT_EQ(open_database(db)->size(), 6);
}

TEST_F(Extract, AFailedReplacementLeavesTheOldDatabase) {
  ASSERT_EQ(extract({"r", db}).exit_code, 0);
  EXPECT_EQ(extract({"sum", db, "--overwrite"}).exit_code, 1);
  EXPECT_EQ(open_database(db)->size(), 6);
  EXPECT_EQ(extract({"x", db, "--overwrite", "--iterations=1"}).exit_code, 0);
  EXPECT_EQ(open_database(db)->size(), 3);
}

TEST_F(Extract, ExplainsWhatDoesNotFit) {
  EXPECT_EQ(extract({"r,x", db}).exit_code, 2);
  EXPECT_EQ(extract({"r", db, "--iterations=0"}).exit_code, 2);
  EXPECT_TRUE(contains(extract({"rr", db}).err, "has no blob 'rr'"));
  EXPECT_EQ(extract({"r", db, "--backend=hdf5"}).exit_code, 1);
  const Outcome scalar = extract({"sum", db});
  EXPECT_EQ(scalar.exit_code, 1);
  EXPECT_TRUE(contains(scalar.err, "blob 'sum' is scalar; a database record takes")) << scalar.err;
  EXPECT_EQ(extract({"r", db}).exit_code, 0) << "no half-made database is left in the way";
  EXPECT_TRUE(contains(extract({"r", db}).err, "exists already"));
  EXPECT_EQ(extract({"r,r", db + "_2," + db}).exit_code, 1);
  EXPECT_EQ(extract({"r", db + "_2"}).exit_code, 0) << "nor one beside a database that is there";
}

}  // namespace
}  // namespace doppio
