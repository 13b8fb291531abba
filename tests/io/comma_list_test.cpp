#include "io/comma_list.hpp"

#include <gtest/gtest.h>

namespace doppio {
namespace {

TEST(CommaList, DropsSpacesAndIsEmptyForAnEmptyText) {
  EXPECT_EQ(comma_list("a, b ,c"), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_TRUE(comma_list("").empty());
}

}  // namespace
}  // namespace doppio
