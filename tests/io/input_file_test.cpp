#include "io/input_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "core/printable.hpp"
#include "doppio/error.hpp"
#include "support/expect_error.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

class InputFile : public testing::Test {
 protected:
  std::string write(const std::string& text) {
    std::ofstream(path_, std::ios::binary) << text;
    return path_;
  }

  ScratchFolder folder_;
  std::string path_ = folder_ / "file";
};

TEST_F(InputFile, BytesAreReadAsTheyAre) {
  const std::string bytes("\xEF\xBB\xBF\0a\r\n", 7);
  EXPECT_EQ(read_file(write(bytes)), bytes);
}

TEST_F(InputFile, MissingFileNamesWorkingDirectory) {
  EXPECT_ERROR(read_file(path_), "No such file or directory (working directory ");
}

TEST_F(InputFile, FoldersAndDevicesAreRefused) {
  EXPECT_ERROR(read_file(folder_ / ""), "is a folder, a file was expected");
  EXPECT_ERROR(read_file("/dev/zero"), "is a device, a file was expected");
}

TEST_F(InputFile, LongNamesAreAnErrorOfTheUser) {
  EXPECT_ERROR(read_file(std::string(5000, 'a')), "File name too long");
}

TEST_F(InputFile, SizeIsCheckedBeforeMemoryIsTaken) {
  write("abc");
  std::filesystem::resize_file(path_, std::uint64_t{1} << 40);
  EXPECT_ERROR(read_file(path_), "is larger than the");
  EXPECT_ERROR(read_file(write("abc"), 2), "is larger than the 2 bytes");
  EXPECT_EQ(read_file(write("abc"), 3), "abc");
}

TEST_F(InputFile, PipeWithoutWriterDoesNotBlock) {
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  EXPECT_ERROR(read_file(path_), "is a pipe that nobody writes to");
}

TEST_F(InputFile, PipeIsReadToItsEnd) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const std::string sent(1 << 20, 'x');
  std::thread writer([&] {
    for (std::size_t done = 0; done < sent.size();) {
      const ssize_t n = ::write(ends[1], sent.data() + done, sent.size() - done);
      if (n > 0) done += static_cast<std::size_t>(n);
    }
    ::close(ends[1]);
  });
  EXPECT_EQ(read_file("/dev/fd/" + std::to_string(ends[0])), sent);
  writer.join();
  ::close(ends[0]);
}

TEST_F(InputFile, HeadsAreReadOfFilesOnly) {
  EXPECT_EQ(read_head(write("abc"), 2), "ab");
  EXPECT_EQ(read_head(path_, 5), "abc");
  EXPECT_EQ(read_head("/dev/zero", 5), "");
  EXPECT_EQ(read_head(folder_ / "gone", 5), "");
}

TEST_F(InputFile, BinaryFilesAreNoTextAndSaidToBeWhatTheyAre) {
  write(std::string("\x89PNG\r\n\x1A\n\0\0\0\rIHDR", 16));
  try {
    read_text_file(path_);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.message(), path_ + " is not a text file; it is a PNG image");
  }
}

TEST_F(InputFile, TextLosesByteOrderMark) {
  EXPECT_EQ(read_text_file(write("\xEF\xBB\xBF"
                                 "a\r\n")),
            "a\r\n");
  EXPECT_THROW(read_text_file(write(std::string("\xFF\xFE"
                                                "a\0",
                                                4))),
               Error);
  EXPECT_THROW(read_text_file(write(std::string("a\0b", 3))), Error);
}

TEST_F(InputFile, LinesEndAsOnAnySystem) {
  const std::vector<TextLine> lines =
      read_lines(write("\xEF\xBB\xBF"
                       "a b \r\n\n\tc\t\n  \rd"));
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0].text, "a b");
  EXPECT_EQ(lines[1].text, "\tc");
  EXPECT_EQ(lines[1].number, 3);
  EXPECT_EQ(lines[2].text, "d");
  EXPECT_EQ(lines[2].number, 5);
}

TEST_F(InputFile, MissingFileWithLookalikeInItsNameSaysSo) {
  EXPECT_ERROR(read_file(folder_ / "a\u200B.png"),
               "; its name holds U+200B ZERO WIDTH SPACE, which is invisible");
  EXPECT_FALSE(contains(error_of([&] { read_file(folder_ / "caf\u00E9"); }), "its name"));
}

TEST(Lookalike, NamesTheCharacterAndWhatItIsTakenFor) {
  EXPECT_EQ(lookalike("\u2212"
                      "1"),
            "U+2212 MINUS SIGN, which looks like '-'");
  EXPECT_EQ(lookalike("\u00A0"), "U+00A0 NO-BREAK SPACE, which looks like a blank");
  EXPECT_EQ(lookalike("\u201C"), "U+201C LEFT DOUBLE QUOTATION MARK, which looks like '\"'");
  EXPECT_EQ(lookalike("\uFF13"), "U+FF13 FULLWIDTH FORM, which looks like '3'");
  EXPECT_EQ(lookalike("\uFEFF"), "U+FEFF BYTE ORDER MARK, which is invisible");
}

TEST(Lookalike, LettersOfOtherLanguagesAndBrokenBytesAreNone) {
  for (const char* text : {"", "-", "\u00E9", "\u732B", "\xE2\x88", "\xFF"})
    EXPECT_EQ(lookalike(text), "") << text;
}

TEST(Lookalike, ColumnsAreCountedInCharacters) {
  const std::optional<Lookalike> found = find_lookalike(
      "\u732B.png\u00A0"
      "1");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->column, 6);
  EXPECT_FALSE(find_lookalike("\u732B.png 1"));
}

TEST(Printable, EscapesWhatTerminalsObey) {
  EXPECT_EQ(printable("caf\xC3\xA9 \x1B[31m\n\xFF"), "caf\xC3\xA9 \\x1b[31m\\n\\xff");
  EXPECT_EQ(printable("abcdef", 3), "abc...");
  EXPECT_EQ(printable("\xC2"), "\\xc2");
}

}  // namespace
}  // namespace doppio
