#pragma once
#include <google/protobuf/io/tokenizer.h>

#include <string>

namespace doppio {

/// Keeps the first error of protobuf's text parser, as "line:column: message"; ignores warnings.
class FirstParseError final : public google::protobuf::io::ErrorCollector {
 public:
  std::string text;

 private:
  void keep(int line, int column, const std::string& message) {
    if (text.empty())
      text = std::to_string(line + 1) + ":" + std::to_string(column + 1) + ": " + message;
  }
#if GOOGLE_PROTOBUF_VERSION >= 4022000  // protobuf 22 renamed AddError, and 26 removed it
  void RecordError(int line, int column, absl::string_view message) override {
    keep(line, column, std::string(message));
  }
#else
  void AddError(int line, int column, const std::string& message) override {
    keep(line, column, message);
  }
#endif
};

}  // namespace doppio
