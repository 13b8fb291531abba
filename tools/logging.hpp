#pragma once
#include <string>
#include <vector>

namespace doppio {

/// The names of glog's own flags that this build of glog has, such as "log_dir". Every command
/// takes them, and a variable GLOG_log_dir sets the default, as in Caffe.
const std::vector<std::string>& glog_flags();

/// Starts the log in Caffe's form, which published parsers read. Log lines go to stderr and, if
/// --log_dir, --alsologtostderr, --stderrthreshold or --logtostderr=false asks for it, to glog's
/// files as well. Throws: Error if the files cannot be made in --log_dir.
void start_logging(const char* program);

}  // namespace doppio
