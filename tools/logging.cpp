#include "tools/logging.hpp"

#include <gflags/gflags.h>
#include <glog/logging.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#if __has_include(<google/protobuf/stubs/logging.h>)
#include <google/protobuf/stubs/logging.h>
#define DOPPIO_PROTOBUF_LOGS  // removed in version 22
#endif

#include "core/printable.hpp"
#include "doppio/error.hpp"
#include "tools/flags.hpp"

namespace doppio {

namespace {

/// Returns true if glog's flag `name` is set on the command line or in the environment.
bool is_set(const char* name) {
  gflags::CommandLineFlagInfo info;
  const bool flag = gflags::GetCommandLineFlagInfo(name, &info) && !info.is_default;
  return flag || std::getenv((std::string("GLOG_") + name).c_str()) != nullptr;
}

/// Creates --log_dir, because glog silently drops log files that it cannot create.
void make_log_folder() {
  if (FLAGS_log_dir.empty()) return;
  std::error_code failed;
  std::filesystem::create_directories(FLAGS_log_dir, failed);
  if (!failed && ::access(FLAGS_log_dir.c_str(), W_OK | X_OK) != 0)
    failed = std::error_code(errno, std::generic_category());
  require(!failed, "--log_dir=", printable(FLAGS_log_dir),
          ": log files cannot be made there: ", failed.message());
}

}  // namespace

const std::vector<std::string>& glog_flags() {
  static const std::vector<std::string> present = [] {
    std::vector<std::string> names;
    for (const char* name :
         {"alsologtostderr", "colorlogtostderr", "log_backtrace_at", "log_dir", "log_link",
          "log_prefix", "logbuflevel", "logbufsecs", "logfile_mode", "logtostderr", "max_log_size",
          "minloglevel", "stderrthreshold", "stop_logging_if_full_disk", "v", "vmodule"}) {
      gflags::CommandLineFlagInfo info;
      if (gflags::GetCommandLineFlagInfo(name, &info)) names.push_back(name);
    }
    return names;
  }();
  return present;
}

void start_logging(const char* program) {
  const bool files = is_set("log_dir") || is_set("alsologtostderr") || is_set("stderrthreshold");
  if (!is_set("logtostderr")) FLAGS_logtostderr = !files;
  // As in Caffe, lines in log files also go to stderr.
  if (!is_set("alsologtostderr") && !is_set("stderrthreshold")) FLAGS_alsologtostderr = true;
  if (!FLAGS_logtostderr) make_log_folder();
  google::InitGoogleLogging(program);
  // Set by name, because older versions of glog have neither the flag nor the year.
  gflags::SetCommandLineOption("log_year_in_prefix", "false");
  if (FLAGS_quiet) FLAGS_minloglevel = std::max<int>(FLAGS_minloglevel, google::GLOG_WARNING);
  if (FLAGS_verbose) FLAGS_v = std::max<int>(FLAGS_v, 1);
#ifdef DOPPIO_PROTOBUF_LOGS
  google::protobuf::SetLogHandler(nullptr);  // parse errors are reported as Error instead
#endif
}

}  // namespace doppio
