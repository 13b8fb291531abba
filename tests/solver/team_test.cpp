#include "solver/team.hpp"

#include <gtest/gtest.h>

#include <barrier>
#include <set>
#include <stdexcept>

namespace doppio {
namespace {

TEST(Team, WorksForAllMembersAtOnceOnThreadsThatStay) {
  Team team(3);
  std::vector<std::thread::id> first(3), second(3);
  std::barrier<> all_there(3);  // never opens if one has to wait for another's end
  team.run([&](std::size_t member) {
    first[member] = std::this_thread::get_id();
    all_there.arrive_and_wait();
  });
  team.run([&](std::size_t member) { second[member] = std::this_thread::get_id(); });
  EXPECT_EQ(first, second);
  EXPECT_EQ(first[0], std::this_thread::get_id());
  EXPECT_EQ(std::set(first.begin(), first.end()).size(), 3u);
}

TEST(Team, OneMemberNeedsNoThread) {
  Team team(1);
  int runs = 0;
  for (int i = 0; i < 3; ++i) team.run([&](std::size_t) { ++runs; });
  EXPECT_EQ(runs, 3);
}

TEST(Team, ThrowsWhatTheFirstOneThrewWhenAllHaveEnded) {
  Team team(3);
  std::vector<int> ended(3);
  const auto fail = [&](std::size_t member) {
    ++ended[member];
    if (member > 0) throw std::runtime_error(std::to_string(member));
  };
  for (int i = 1; i <= 2; ++i) try {
      team.run(fail);
      FAIL() << "nothing was thrown";
    } catch (const std::runtime_error& e) {
      EXPECT_EQ(std::string(e.what()), "1");
      EXPECT_EQ(ended, std::vector<int>(3, i));
    }
  EXPECT_NO_THROW(team.run([](std::size_t) {}));
}

}  // namespace
}  // namespace doppio
