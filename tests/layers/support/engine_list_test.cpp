#include "layers/support/engine_list.hpp"

#include "support/expect_error.hpp"

namespace doppio {
namespace {

struct Length {
  int n;
  std::string text() const { return str("length ", n); }
  friend bool operator==(const Length&, const Length&) = default;
};

struct Ruler {
  std::string name;
};

template <char kName>
std::unique_ptr<Ruler> make(const Length&) {
  return std::make_unique<Ruler>(Ruler{std::string(1, kName)});
}

const EngineEntry<Ruler, Length> kRulers[] = {
    {"short", [](const Length& l) { return std::string(l.n > 10 ? "longer than 10" : ""); },
     make<'s'>, [](const Length& l) { return std::string(l.n > 5 ? "more than 5" : ""); }},
    {"long", [](const Length& l) { return std::string(l.n > 20 ? "longer than 20" : ""); },
     make<'l'>},
};

std::string chosen(int n, const std::string& forced = {}) {
  const auto ruler = make_engine<Ruler>("layer", "ruler", kRulers, forced, Length{n});
  return ruler ? ruler->name : "none";
}

TEST(EngineList, TakesTheFirstThatCanAndIsFastest) {
  EXPECT_EQ(chosen(3), "s");
  EXPECT_EQ(chosen(7), "l") << "the short one is slower";
  EXPECT_EQ(chosen(15), "l") << "the short one cannot";
  EXPECT_EQ(chosen(30), "none");
}

TEST(EngineList, ForcedEnginesMayBeSlowButMustBeAble) {
  EXPECT_EQ(chosen(7, "short"), "s");
  EXPECT_EQ(error_of([] { chosen(15, "short"); }), "engine short cannot be used: longer than 10");
  EXPECT_EQ(error_of([] { chosen(3, "laser"); }), "engine laser does not run on this device");
}

TEST(EngineList, ChoiceIsMadeAgainForAnotherGeometryOnly) {
  EngineChoice<Ruler, Length> choice;
  EXPECT_EQ(choice.get(), nullptr);
  int made = 0;
  for (const int n : {3, 3, 4, 3})
    choice.choose(
        [&](const Length& l) {
      ++made;
      return make<'s'>(l);
        },
        Length{n});
  EXPECT_EQ(made, 3);
  EXPECT_EQ(choice->name, "s");
}

}  // namespace
}  // namespace doppio
