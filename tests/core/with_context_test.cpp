#include "core/with_context.hpp"

#include <gtest/gtest.h>

namespace doppio {
namespace {

TEST(WithContext, ReturnsWhatTheActionReturns) {
  EXPECT_EQ(with_context(field_context("pad"), [] { return 7; }), 7);
}

TEST(WithContext, ThrowsTheExplainedError) {
  try {
    with_context(name_context([] { return "conv1"; }),
                 [] { with_context(field_context("pad"), [] { throw Error("too large"); }); });
    FAIL() << "nothing was thrown";
  } catch (const Error& e) {
    EXPECT_EQ(e.message(), "conv1: too large");
    EXPECT_EQ(e.field(), "pad");
  }
}

TEST(WithContext, KeepsTheFieldThatAnErrorKnows) {
  try {
    with_context(field_context("pad"), [] { throw Error("too large", {}, "stride"); });
    FAIL() << "nothing was thrown";
  } catch (const Error& e) {
    EXPECT_EQ(e.field(), "stride");
  }
}

TEST(WithContext, KeepsTheTypeOfAnErrorThatNeedsNoExplanation) {
  const auto none = [](const Error&) -> std::optional<Error> { return std::nullopt; };
  EXPECT_THROW(with_context(none, [] { throw UsageError("no such flag"); }), UsageError);
}

}  // namespace
}  // namespace doppio
