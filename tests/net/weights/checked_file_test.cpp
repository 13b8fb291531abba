#include "net/weights/checked_file.hpp"

#include <filesystem>
#include <fstream>

#include "doppio.pb.h"
#include "io/sha256.hpp"
#include "net/weights/weights_io.hpp"
#include "support/expect_error.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

std::string bytes_of(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

NetParameter a_net() {
  NetParameter net;
  net.set_name("n");
  net.add_layer()->set_name("a");
  net.add_layer()->set_name("b");
  return net;
}

TEST(CheckedFile, ReturnsTheHashOfTheFile) {
  const ScratchFolder folder;
  const std::string big(1 << 20, 'x');
  const std::string sha256 =
      write_checked_file(folder / "f", [&](std::ostream& out) { out << big << 'y'; });
  const std::string bytes = bytes_of(folder / "f");
  EXPECT_EQ(bytes.size(), big.size() + 1 + kChecksumBytes);
  EXPECT_EQ(sha256, sha256_hex(bytes.data(), bytes.size()));
  EXPECT_EQ(check_file(folder / "f"), sha256);
}

TEST(CheckedFile, IsTheMessageToOtherReaders) {
  const ScratchFolder folder;
  write_message(folder / "f", a_net());
  NetParameter net;
  ASSERT_TRUE(net.ParseFromString(bytes_of(folder / "f")));
  EXPECT_EQ(net.layer_size(), 2);
  net.Clear();
  ASSERT_TRUE(parse_binary_file(folder / "f", net));
  EXPECT_EQ(net.SerializeAsString(), a_net().SerializeAsString());
}

TEST(CheckedFile, NoticesEveryChangeOfItsContents) {
  const ScratchFolder folder;
  write_message(folder / "f", a_net());
  const std::string good = bytes_of(folder / "f");
  for (std::size_t i = 4; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    folder.write("bad", bad);
    EXPECT_ERROR(check_file(folder / "bad"), "bad is damaged: ") << i;
  }
  for (std::size_t size = 4; size < good.size(); ++size) {
    folder.write("bad", good.substr(0, size));
    EXPECT_ERROR(check_file(folder / "bad"), "bad is damaged: ") << size;
  }
}

TEST(CheckedFile, AcceptsFilesThatOtherProgramsWrote) {
  const ScratchFolder folder;
  write_message(folder / "ours", a_net());
  NetParameter net;
  ASSERT_TRUE(net.ParseFromString(bytes_of(folder / "ours")));
  net.set_name("edited");
  const std::string edited = net.SerializeAsString();
  folder.write("edited", edited);
  folder.write("empty", "");
  EXPECT_EQ(check_file(folder / "edited"), sha256_hex(edited.data(), edited.size()));
  EXPECT_EQ(check_file(folder / "empty"), sha256_hex("", 0));
}

}  // namespace
}  // namespace doppio
