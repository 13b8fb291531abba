#pragma once
#include <string>

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

}  // namespace doppio
