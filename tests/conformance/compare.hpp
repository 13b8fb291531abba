#pragma once
#include <string>
#include <vector>

#include "doppio.pb.h"
#include "doppio/net.hpp"

namespace doppio::conformance {

/// How a case ended; `text` says what differs, why it was skipped, or how near it came.
struct Result {
  enum class Outcome { passed, failed, skipped };
  Outcome outcome = Outcome::passed;
  std::string text;
};

/// Gathers what differs between this build's numbers and the expected ones.
/// Two numbers agree if |a - b| <= tolerance * max(1, |b|).
class Comparison {
 public:
  explicit Comparison(double tolerance) : tolerance_(tolerance) {}

  /// Compares shape and values.
  void blob(const std::string& what, const Tensor& actual, const BlobProto& expected);
  void blob(const std::string& what, const Tensor& actual, const std::string& expected_file);
  /// Compares every weight in a .caffemodel with the net's.
  void weights(const std::string& what, const Net& net, const std::string& expected_file);
  void scalar(const std::string& what, double actual, double expected);
  /// As scalar(), but with the error relative to `expected`, however small that is.
  void relative(const std::string& what, double actual, double expected);
  /// Adds `text` as a difference of its own.
  void differs(const std::string& text) { differences_.push_back(text); }

  Result result() const;

 private:
  void note(const std::string& what, double error);

  double tolerance_;
  double worst_ = 0;
  std::string worst_what_ = "nothing";
  std::vector<std::string> differences_;
};

/// Throws: Error if the file is missing or no such message.
template <class Message>
Message read_message(const std::string& file);
extern template BlobProto read_message(const std::string&);
extern template BlobProtoVector read_message(const std::string&);
extern template NetParameter read_message(const std::string&);

/// The shape of a stored blob, in today's form or as num, channels, height, width.
Shape shape_of(const BlobProto& blob);

}  // namespace doppio::conformance
