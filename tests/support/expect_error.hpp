#pragma once
#include <gtest/gtest.h>

#include <string>

#include "doppio/error.hpp"

namespace doppio {

/// Returns the message of the Error that `action` throws; fails the test if it throws none.
template <class F>
std::string error_of(F action) {
  try {
    action();
  } catch (const Error& e) {
    return e.what();
  }
  ADD_FAILURE() << "expected an Error, nothing was thrown";
  return {};
}

/// For EXPECT_ERROR: returns whether `error` contains `text`.
inline testing::AssertionResult error_contains(const char*, const char*, const std::string& error,
                                               const std::string& text) {
  if (error.find(text) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << "expected an Error that contains\n  " << text << "\nbut it is\n  " << error;
}

}  // namespace doppio

/// Expects that evaluating `expression` throws an Error whose message contains `text`. To compare
/// the whole message, use EXPECT_EQ(error_of([&] { expression; }), text).
#define EXPECT_ERROR(expression, text)          \
  EXPECT_PRED_FORMAT2(::doppio::error_contains, \
                      ::doppio::error_of([&] { static_cast<void>(expression); }), text)
