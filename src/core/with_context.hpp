#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "doppio/error.hpp"

namespace doppio {

/// Returns action(). In place of an Error that it throws, throws explain(error), which adds what
/// the caller knows; the Error itself if that is nothing.
template <class Explain, class Action>
auto with_context(Explain explain, Action action) -> decltype(action()) {
  try {
    return action();
  } catch (const Error& e) {
    if (const std::optional<Error> explained = explain(e)) throw *explained;
    throw;
  }
}

/// For with_context(): puts `name()` in front of the message.
template <class Name>
auto name_context(Name name) {
  return [name](const Error& e) {
    return Error(str(name(), ": ", e.message()), e.where(), e.field());
  };
}

/// For with_context(): blames `field` of the layer, unless the Error knows its field.
inline auto field_context(std::string_view field) {
  return [field](const Error& e) {
    return Error(e.message(), e.where(), e.field().empty() ? std::string(field) : e.field());
  };
}

}  // namespace doppio
