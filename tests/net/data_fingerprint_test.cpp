#include "net/data_fingerprint.hpp"

#include "data/storage/database.hpp"
#include "doppio.pb.h"
#include "net/format/read_prototxt.hpp"
#include "support/expect_error.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

TEST(DataFingerprints, AreThoseOfTheLayersThatReadFiles) {
  ScratchFolder folder;
  Datum datum;
  datum.set_channels(1);
  datum.set_height(1);
  datum.set_width(1);
  datum.set_data("x");
  const auto writer = make_database(folder / "db", Backend::lmdb);
  for (int i = 0; i < 3; ++i) writer->put(str(i), datum.SerializeAsString());
  writer->finish();
  Context ctx;
  Net net(
      ctx,
      parse_prototxt("layer { name: 'a' type: 'Data' top: 'a' data_param { batch_size: 1 "
                     "source: '" +
                         folder / "db" +
                         "' } } "
                         "layer { name: 'b' type: 'DummyData' top: 'b' dummy_data_param { shape { "
                         "dim: 1 } } } "
                         "layer { name: 'c' type: 'Data' top: 'c' data_param { batch_size: 2 "
                         "source: '" +
                         folder / "db" + "' } transform_param { scale: 2 } }",
                     "net.prototxt"),
      NetState());

  const std::vector<std::string> found = data_fingerprints(net);

  ASSERT_EQ(found.size(), 2u);
  EXPECT_TRUE(found[0].starts_with("layer 'a': 3 records, sample ")) << found[0];
  EXPECT_EQ(found[1].substr(9), found[0].substr(9)) << "it is the data's, not the layer's";
}

}  // namespace
}  // namespace doppio
