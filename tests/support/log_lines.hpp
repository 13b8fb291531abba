#pragma once
#include <glog/logging.h>

#include <string>
#include <vector>

namespace doppio {

/// Collects the log lines during its lifetime, without their prefix.
class Lines final : public google::LogSink {
 public:
  Lines() { google::AddLogSink(this); }
  ~Lines() override { google::RemoveLogSink(this); }
  void send(google::LogSeverity, const char*, const char*, int, const google::LogMessageTime&,
            const char* message, std::size_t length) override {
    lines.emplace_back(message, length);
  }
  std::string all() const {
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    return text;
  }
  std::vector<std::string> lines;
};

}  // namespace doppio
