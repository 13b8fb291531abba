#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "doppio/error.hpp"

namespace doppio {

/// Returns action(). If that throws an Error, throws explain(error) instead, to which the caller
/// adds context; rethrows the Error if explain() returns nullopt.
template <class Explain, class Action>
auto with_context(const Explain& explain, Action action) -> decltype(action()) {
  try {
    return action();
  } catch (const Error& e) {
    if (const std::optional<Error> explained = explain(e)) throw *explained;
    throw;
  }
}

/// For with_context(): prefixes the message with `name()`.
template <class Name>
auto name_context(Name name) {
  return [name](const Error& e) {
    return Error(str(name(), ": ", e.message()), e.where(), e.field());
  };
}

/// For with_context(): sets the Error's field to `field` unless it has one.
inline auto field_context(std::string_view field) {
  return [field](const Error& e) {
    return Error(e.message(), e.where(), e.field().empty() ? std::string(field) : e.field());
  };
}

}  // namespace doppio
