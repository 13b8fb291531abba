#pragma once
#include <string>
#include <vector>

namespace doppio {

/// Returns the names of glog's flags that this version of glog has, such as "log_dir". Every
/// command takes them. As in Caffe, environment variables such as GLOG_log_dir set their defaults.
const std::vector<std::string>& glog_flags();

/// Starts logging in Caffe's format, which existing log parsers can read. Log lines go to stderr
/// and, with --log_dir, --alsologtostderr, --stderrthreshold or --logtostderr=false, also to glog's
/// files. Throws: Error if files cannot be created in --log_dir.
void start_logging(const char* program);

}  // namespace doppio
