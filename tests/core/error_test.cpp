#include "doppio/error.hpp"

#include <gtest/gtest.h>

namespace doppio {
namespace {

TEST(Error, CarriesItsPlace) {
  const Error e("kernel_size 5 exceeds input 4x4", {"net.prototxt", 42, 5});
  EXPECT_STREQ(e.what(), "net.prototxt:42:5: error: kernel_size 5 exceeds input 4x4");
  EXPECT_EQ(e.message(), "kernel_size 5 exceeds input 4x4");
}

TEST(Error, WithoutAPlaceIsTheBareMessage) { EXPECT_STREQ(Error("no").what(), "no"); }

TEST(Problems, AreReportedTogether) {
  Problems problems;
  EXPECT_NO_THROW(problems.throw_if_any());
  problems.add(Error("one", {"a", 1, 1}));
  problems.add(Error("two", {"a", 2, 1}));
  try {
    problems.throw_if_any();
    FAIL() << "nothing was thrown";
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "a:1:1: error: one\na:2:1: error: two");
  }
}

TEST(Error, EscapesAllButTheEndsOfItsLines) {
  EXPECT_STREQ(Error("a\x1b\tb\nc\xff", {"n\n", 1, 2}).what(),
               "n\\n:1:2: error: a\\x1b\\tb\nc\\xff");
}

TEST(Problems, ShowNoMoreThanTwenty) {
  Problems problems;
  for (int i = 1; i <= 100; ++i) problems.add(Error("one", {"a", i, 1}));
  try {
    problems.throw_if_any();
    FAIL() << "nothing was thrown";
  } catch (const Error& e) {
    EXPECT_TRUE(std::string(e.what()).ends_with("a:20:1: error: one\nand 80 more errors"));
  }
}

TEST(Nearest, FindsTypos) {
  EXPECT_EQ(did_you_mean("Convolutoin", {"Convolution", "Pooling"}),
            "; did you mean 'Convolution'?");
  EXPECT_EQ(did_you_mean("pool", {"Convolution", "Pooling"}), "");
  EXPECT_EQ(did_you_mean("y", {"x"}), "");
  EXPECT_EQ(did_you_mean("abcd", {"abcd"}), "");
  EXPECT_EQ(did_you_mean("focal_param", {"concat_param", "scale_param"}), "");
  EXPECT_EQ(did_you_mean("relu", {"ELU", "ReLU", "PReLU"}), "; did you mean 'ReLU'?");
  EXPECT_EQ(did_you_mean("Rellu", {"ELU", "ReLU", "Silence"}), "; did you mean 'ReLU'?");
}

}  // namespace
}  // namespace doppio
