#pragma once
#include <cstddef>
#include <source_location>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace doppio {

/// A position in a user's file. `line` and `column` count from 1; 0 means unknown.
struct Location {
  std::string file;
  int line = 0;
  int column = 0;

  /// "net.prototxt:42:5", without the parts that are unknown; empty if there is no file.
  std::string text() const;
};

/// A mistake in what the user gave us: a prototxt, a flag, a database, a weights file.
///
/// `what()` reads `file:line:column: error: message`, or only the message while no location is
/// known. A layer throws an Error without a location; the net catches it and throws it again with
/// layer, location and bottom shapes added.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message, Location where = {}, std::string field = {});

  const std::string& message() const noexcept { return message_; }
  const Location& where() const noexcept { return where_; }
  /// Path of the offending field within its layer, such as "convolution_param.kernel_size"; may be
  /// empty.
  const std::string& field() const noexcept { return field_; }

 private:
  std::string message_;
  Location where_;
  std::string field_;
};

/// An accelerator is out of memory. The net adds what it needs and which batch size would fit.
class OutOfMemory : public Error {
 public:
  /// `available`: free bytes plus those that this process already holds.
  OutOfMemory(const std::string& message, std::size_t available)
      : Error(message), available_(available) {}
  std::size_t available() const noexcept { return available_; }

 private:
  std::size_t available_;
};

/// A command line that cannot be understood (exit code 2).
class UsageError : public Error {
 public:
  using Error::Error;
};

/// A bug in Doppio (exit code 3). The message names the source line.
class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// Returns the parts, streamed into one string.
template <class... Parts>
std::string str(const Parts&... parts) {
  std::ostringstream s;
  (s << ... << parts);
  return s.str();
}

/// Throws Error made of `parts` unless `ok`: for conditions that the user's input must meet.
template <class... Parts>
void require(bool ok, const Parts&... parts) {
  if (!ok) throw Error(str(parts...));
}

/// As require(), and names the field of the layer (for example "pooling_param.pad") whose line the
/// message should carry.
template <class... Parts>
void require_field(bool ok, std::string_view field, const Parts&... parts) {
  if (!ok) throw Error(str(parts...), {}, std::string(field));
}

/// Throws InternalError unless `ok`: for conditions that only a bug in Doppio can break.
inline void ensure(bool ok, std::string_view what,
                   const std::source_location& at = std::source_location::current()) {
  if (!ok) throw InternalError(str(at.file_name(), ":", at.line(), ": ", what));
}

/// Collects the problems of a file, so that all are reported together.
class Problems {
 public:
  void add(const Error& error) { errors_.push_back(error); }
  bool empty() const { return errors_.empty(); }
  /// Throws one Error whose message lists all problems, a line each. Does nothing if there are
  /// none.
  void throw_if_any() const;

 private:
  std::vector<Error> errors_;
};

/// The names in `known` nearest to `name` by edit distance, for "did you mean"; empty if none is
/// near.
std::vector<std::string> nearest(std::string_view name, const std::vector<std::string>& known);

/// "; did you mean 'a' or 'b'?", or "" if nothing in `known` is near `name`.
std::string did_you_mean(std::string_view name, const std::vector<std::string>& known);

}  // namespace doppio
