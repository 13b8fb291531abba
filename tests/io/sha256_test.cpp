#include "io/sha256.hpp"

#include <gtest/gtest.h>

namespace doppio {
namespace {

TEST(Sha256, MatchesTheStandard) {
  EXPECT_EQ(sha256_hex("", 0), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc", 3),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, ContinuesAfterADigest) {
  Sha256 sha;
  sha.update("a", 1);
  EXPECT_EQ(sha.digest().size(), Sha256::kBytes);
  const Sha256 copy(sha);
  sha.update("bc", 2);
  EXPECT_EQ(sha.hex(), sha256_hex("abc", 3));
  EXPECT_EQ(copy.hex(), sha256_hex("a", 1));
}

}  // namespace
}  // namespace doppio
