#include <fstream>
#include <sstream>

#include "doppio/solver.hpp"
#include "run_case.hpp"

namespace doppio::conformance {
namespace {

constexpr double kTolerance = 1e-3;
constexpr const char* kSolver = "solver.prototxt";

struct TraceLine {
  int iteration = 0;
  double rate = 0, loss = 0;
};

std::vector<TraceLine> read_trace(const std::string& file) {
  std::ifstream in(file);
  require(in.good(), file, ": cannot open it");
  std::vector<TraceLine> trace;
  for (std::string text; std::getline(in, text);) {
    if (text.empty() || text[0] == '#') continue;
    TraceLine line;
    std::istringstream fields(text);
    require(bool(fields >> line.iteration >> line.rate >> line.loss), file, ": ", text);
    trace.push_back(line);
  }
  return trace;
}

class Recorder : public SolverObserver {
 public:
  void on_iteration(Solver&, int iteration, float smoothed_loss, float rate) override {
    last = {iteration, rate, smoothed_loss};
  }
  TraceLine last;
};

/// Runs the iterations of `trace_file` one at a time.
void follow_trace(Comparison& compare, Solver& solver, const std::string& trace_file) {
  const auto recorder = std::make_shared<Recorder>();
  solver.add_observer(recorder);
  for (const TraceLine& expected : read_trace(trace_file)) {
    solver.step(1);
    const std::string at = str(trace_file, " iteration ", expected.iteration, ": ");
    compare.scalar(at + "number", recorder->last.iteration, expected.iteration);
    compare.relative(at + "learning rate", recorder->last.rate, expected.rate);
    compare.scalar(at + "loss", recorder->last.loss, expected.loss);
  }
}

void compare_history(Comparison& compare, Solver& solver) {
  const auto expected = read_message<BlobProtoVector>("final_history.binaryproto");
  std::vector<Tensor>& history = solver.history();
  compare.scalar("number of history blobs", static_cast<double>(history.size()),
                 expected.blobs_size());
  for (std::size_t i = 0; i < history.size() && int(i) < expected.blobs_size(); ++i)
    compare.blob(str("history ", i), history[i], expected.blobs(int(i)));
}

/// The snapshot of iteration 6 in the current folder; empty if there is none.
std::string snapshot_file() {
  for (const char* file : {"snap_iter_6.solverstate", "snap_iter_6.solverstate.h5"})
    if (std::filesystem::exists(file)) return file;
  return {};
}

void resume(Comparison& compare, Context& ctx, const std::string& what, const Net* unbroken) {
  try {
    Solver solver(ctx, kSolver);
    solver.restore(snapshot_file());
    follow_trace(compare, solver, "trace_resumed.txt");
    compare.weights(what, solver.net(), "final_resumed.caffemodel");
    if (!unbroken) return;
    for (std::size_t l = 0; l < unbroken->layers().size(); ++l) {
      const std::vector<Blob>& expected = unbroken->layers()[l].layer->params;
      for (std::size_t i = 0; i < expected.size(); ++i) {
        const float* a = solver.net().layers()[l].layer->params[i].data.read_host();
        if (!std::equal(a, a + expected[i].count(), expected[i].data.read_host()))
          compare.differs(str(what, " ", unbroken->layers()[l].name, " ", i,
                              ": not bit for bit that of the unbroken run"));
      }
    }
  } catch (const std::exception& e) {
    compare.differs(what + ": " + e.what());
  }
}

}  // namespace

Result run_solver_case(const Case&, Context& ctx) {
  Comparison compare(kTolerance);
  const bool resumes = std::filesystem::exists("trace_resumed.txt");
  // First, because the run below writes its own snapshot in the place of Caffe's.
  if (resumes) resume(compare, ctx, "resumed from Caffe's snapshot", nullptr);

  Solver solver(ctx, kSolver);
  require_no_mismatch(solver.net().copy_weights("init.caffemodel"), "init.caffemodel");
  follow_trace(compare, solver, "trace.txt");
  compare.weights("final", solver.net(), "final.caffemodel");
  compare_history(compare, solver);
  if (resumes) resume(compare, ctx, "resumed from our snapshot", &solver.net());
  return compare.result();
}

}  // namespace doppio::conformance
