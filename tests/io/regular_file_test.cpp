#include "io/regular_file.hpp"

#include <sys/stat.h>

#include "support/expect_error.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

TEST(RegularFile, ReadsAtAnyPlace) {
  const ScratchFolder folder;
  const RegularFile file(folder.write("f", "abcdef"));
  char bytes[4] = {};
  EXPECT_EQ(file.size(), 6u);
  EXPECT_EQ(file.read_at(1, bytes, 3), 3u);
  EXPECT_EQ(std::string(bytes), "bcd");
  EXPECT_EQ(file.read_at(4, bytes, 3), 2u);
  EXPECT_EQ(file.read_at(9, bytes, 3), 0u);
}

TEST(RegularFile, RefusesWhatIsNoFileWithoutWaiting) {
  const ScratchFolder folder;
  ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(error_of([&] { RegularFile(folder / "fifo"); }),
            folder / "fifo" + " is a pipe, a file was expected");
  EXPECT_ERROR(RegularFile(folder / ""), "is a folder");
  EXPECT_ERROR(RegularFile("/dev/zero"), "is a device");
  EXPECT_ERROR(RegularFile(std::string(300, 'a')), "File name too long");
}

}  // namespace
}  // namespace doppio
