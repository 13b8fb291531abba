#include "io/file_kind.hpp"

#include <gtest/gtest.h>

#include "doppio.pb.h"

namespace doppio {
namespace {

TEST(FileKind, KnowsImagesByTheirSignatures) {
  EXPECT_EQ(kind_of_file("\xFF\xD8\xFF\xE0"), "a JPEG image");
  EXPECT_EQ(kind_of_file("\x89PNG\r\n\x1A\n"), "a PNG image");
  EXPECT_EQ(kind_of_file(std::string("BM\x46\0\0\0\0\0\0\0\x36\0", 12)), "a BMP image");
}

TEST(FileKind, KnowsOurMessagesByTheirFields) {
  NetParameter net;
  net.set_name("lenet");
  net.mutable_state()->set_level(0);
  net.add_layer()->set_name("conv1");
  EXPECT_EQ(kind_of_file(net.SerializePartialAsString()), "weights or another binary net");
  SolverState state;
  state.set_iter(8);
  state.set_learned_net("lenet_iter_8.caffemodel");
  EXPECT_EQ(kind_of_file(state.SerializePartialAsString()), "a solver's state");
  BlobProto blob;
  blob.set_num(1);
  blob.set_channels(3);
  blob.set_height(2);
  blob.set_width(2);
  for (int i = 0; i < 12; ++i) blob.add_data(1);
  EXPECT_EQ(kind_of_file(blob.SerializeAsString()), "a mean image or another blob");
  Datum datum;
  datum.set_channels(1);
  datum.set_height(1);
  datum.set_width(2);
  datum.set_data(std::string("\0\1", 2));
  EXPECT_EQ(kind_of_file(datum.SerializeAsString()), "a Datum record");
}

TEST(FileKind, KnowsTextsApart) {
  EXPECT_EQ(kind_of_file("name: 'a'\nlayer {\n}"), "a net's prototxt");
  EXPECT_EQ(kind_of_file("net: 'a.prototxt'\nbase_lr: 0.1"), "a solver's prototxt");
  EXPECT_EQ(kind_of_file("a.png 1\n"), "a text file");
}

TEST(FileKind, ClaimsNothingOfRandomBytes) {
  EXPECT_EQ(kind_of_file("\x07\xFE\x01\x9C\xFF\xFF\xFF\xFF"), "");
  EXPECT_EQ(kind_of_file("\x0A"), "a text file");
  EXPECT_EQ(kind_hint(std::string(3, '\0')), "");
}

}  // namespace
}  // namespace doppio
