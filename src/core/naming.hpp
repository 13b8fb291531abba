#pragma once
#include <string>
#include <string_view>

#include "doppio/error.hpp"

namespace doppio {

/// Runs `action` and puts `name()` in front of the message of its Error.
template <class Name, class F>
void naming(Name name, F action) {
  try {
    action();
  } catch (const Error& e) {
    throw Error(name() + ": " + e.message(), e.where(), e.field());
  }
}

/// Runs `action` and blames `field` of the layer for its Error, unless that knows its field.
template <class F>
auto blaming(std::string_view field, F action) {
  try {
    return action();
  } catch (const Error& e) {
    throw Error(e.message(), e.where(), e.field().empty() ? std::string(field) : e.field());
  }
}

}  // namespace doppio
