#include "tools/ranks.hpp"

#include <glog/logging.h>
#include <link.h>
#include <omp.h>
#include <sched.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <ctime>
#include <iostream>
#include <sstream>
#include <thread>

#include "core/cpu.hpp"
#include "distributed/launcher.hpp"
#include "net/data_fingerprint.hpp"
#include "tools/command.hpp"
#include "tools/flags.hpp"

DEFINE_int32(rank_timeout, 60, "seconds of silence after which a rank counts as lost");

namespace doppio {

namespace {

using namespace std::chrono_literals;

/// Writes warnings and errors to stderr, with the rank, in glog's format.
class RankSink final : public google::LogSink {
 public:
  explicit RankSink(std::string prefix) : prefix_(std::move(prefix)) {}

  void send(google::LogSeverity severity, const char* /*path*/, const char* file, int line,
            const std::tm* time, const char* message, std::size_t length) override {
    if (severity < google::GLOG_WARNING) return;
    char when[32] = "";
    std::strftime(when, sizeof when, "%m%d %H:%M:%S", time);
    std::cerr << str(google::GetLogSeverityName(severity)[0], when, ' ', file, ':', line, "] ",
                     prefix_, std::string_view(message, length), '\n');
  }

 private:
  const std::string prefix_;
};

std::string prefix_of(const ProcessGroup& group) {
  return str("[rank ", group.rank(), ", ", group.member(group.rank()).host, "] ");
}

/// From now on, logs only warnings and errors, with the rank.
void log_as_rank(const ProcessGroup& group) {
  static RankSink sink(prefix_of(group));
  google::AddLogSink(&sink);
  FLAGS_logtostderr = FLAGS_alsologtostderr = false;
  FLAGS_stderrthreshold = google::NUM_SEVERITIES;
  for (int severity = 0; severity < google::NUM_SEVERITIES; ++severity)
    google::SetLogDestination(severity, "");  // no files
}

/// Returns the linker's identifier of this library's contents, in hexadecimal digits.
std::string build_id() {
  std::string id;
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* found) {
    if (!std::strstr(info->dlpi_name, "libdoppio.so")) return 0;
    for (int i = 0; i < info->dlpi_phnum; ++i) {
      const ElfW(Phdr)& part = info->dlpi_phdr[i];
      if (part.p_type != PT_NOTE) continue;
      const auto* at = std::bit_cast<const unsigned char*>(info->dlpi_addr + part.p_vaddr);
      for (const auto* const end = at + part.p_memsz; at < end;) {
        const auto& note = *reinterpret_cast<const ElfW(Nhdr)*>(at);
        const unsigned char* const name = at + sizeof note;
        const unsigned char* const value = name + (note.n_namesz + 3) / 4 * 4;
        if (note.n_type == NT_GNU_BUILD_ID && std::memcmp(name, "GNU", 4) == 0)
          for (unsigned b = 0; b < note.n_descsz; ++b)
            for (const int digit : {value[b] >> 4, value[b] & 15})
              *static_cast<std::string*>(found) += "0123456789abcdef"[digit];
        at = value + (note.n_descsz + 3) / 4 * 4;
      }
    }
    return 1;
      },
      &id);
  return id;
}

/// Throws: Error that names the ranks whose `value` differs from rank 0's.
void require_same(ProcessGroup& group, const std::string& value, const std::string& what,
                  const std::string& remedy) {
  const std::vector<std::string> all = group.all_gather(value);
  std::string others;
  for (int rank = 1; rank < group.size(); ++rank)
    if (all[static_cast<std::size_t>(rank)] != all[0])
      others += str(others.empty() ? "" : ", ", group.name(rank));
  require(others.empty(), others, ": ", what, " than ", group.name(0), "; ", remedy);
}

int cores_allowed() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

/// Divides the cores among the ranks of this machine, unless the launcher has.
void share_cores(const ProcessGroup& group) {
  int here = 0;
  for (int rank = 0; rank < group.size(); ++rank) here += group.member(rank).local;
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  const int share = std::max(1, cores / std::max(1, here)), allowed = cores_allowed();
  LOG_IF(WARNING, allowed < share) << "the launcher lets this rank use " << allowed << " of its "
                                   << share << " cores; mpirun --bind-to none lets it use all";
  if (FLAGS_threads == 0) omp_set_num_threads(std::min(share, allowed));
}

}  // namespace

std::shared_ptr<ProcessGroup> join_ranks() {
  const Launcher launcher = find_launcher();
  if (launcher.module.empty() || launcher.size == 1) return nullptr;
  if (FLAGS_rank_timeout < 1) throw UsageError("--rank_timeout must be at least 1");
  auto group = std::make_shared<ProcessGroup>(
      [&] { return connect(launcher); },
      ProcessGroup::Options{std::chrono::seconds(FLAGS_rank_timeout), kRankLost});
  if (group->rank() != 0) log_as_rank(*group);
  return group;
}

int run_ranks(const std::shared_ptr<ProcessGroup>& group, const std::function<int()>& command) {
  if (!group) return command();
  try {
    require_same(*group, build_id(), "runs another build of Doppio",
                 "install the same on all hosts");
    share_cores(*group);
    const std::vector<int> codes = group->all_gather_value(command());
    return *std::max_element(codes.begin(), codes.end());
  } catch (...) {
    // If another rank fails as well, as rank 0 does if all fail alike, that one has said why.
    while (group->rank() != 0 && group->has_failed(2s)) std::this_thread::sleep_for(1s);
    const int code = report_exception(group->rank() == 0 ? "" : prefix_of(*group));
    group->fail(code);
    return code;
  }
}

SourcedSolver share_solver(ProcessGroup& group, const std::function<SourcedSolver()>& read) {
  SourcedSolver source;
  std::string text;
  if (group.rank() == 0) {
    source = read();
    text = with_nets_inside(source).SerializeAsString();
  }
  text = group.broadcast(text);
  if (group.rank() == 0) return source;
  source.file = FLAGS_solver;
  ensure(source.param.ParseFromString(text), "rank 0's solver cannot be parsed");
  return source;
}

void require_same_data(Solver& solver) {
  ProcessGroup& group = *solver.group();
  std::vector<std::string> own = data_fingerprints(solver.net());
  for (const auto& net : solver.test_nets())
    for (const std::string& layer : data_fingerprints(*net)) own.push_back("test net, " + layer);
  std::string text;
  for (const std::string& layer : own) text += layer + '\n';
  const std::vector<std::string> all = group.all_gather(text);
  for (int rank = 1; rank < group.size(); ++rank) {
    const std::string& text_of_rank = all[static_cast<std::size_t>(rank)];
    if (text_of_rank == all[0]) continue;
    std::istringstream theirs(text_of_rank), firsts(all[0]);
    std::string layer, first;
    while (layer == first && std::getline(theirs, layer)) std::getline(firsts, first);
    throw Error(str(group.name(rank), " reads other data than ", group.name(0), ": ", layer,
                    " instead of ", first, "; copy the same files to all hosts"));
  }
}

void log_ranks(const Solver& solver) {
  const ProcessGroup& group = *solver.group();
  std::string ranks;
  int hosts = 0;
  for (int first = 0; first < group.size(); ++hosts) {
    int end = first + 1;
    while (end < group.size() && group.member(end).host == group.member(first).host) ++end;
    ranks += str(ranks.empty() ? "" : ", ", first);
    if (end > first + 1) ranks += str('-', end - 1);
    ranks += str(" on ", group.member(first).host, " (pid", end > first + 1 ? "s" : "");
    for (int rank = first; rank < end; ++rank) ranks += str(' ', group.member(rank).pid);
    ranks += ')';
    first = end;
  }
  const SolverParameter& p = solver.param();
  LOG(INFO) << group.size() << " ranks on " << hosts << (hosts == 1 ? " host (" : " hosts (")
            << group.version() << "): " << ranks << "; "
            << (p.reduction() == SolverParameter::LIBRARY ? "sums by MPI" : "ordered sums")
            << (p.gradient_type() == BFLOAT16 ? " of bfloat16" : "") << ", "
            << static_cast<double>(solver.bytes_per_iteration()) / 1e6
            << " MB of gradients and weights sent by each rank in an iteration";
}

}  // namespace doppio
