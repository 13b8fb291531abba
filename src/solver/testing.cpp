#include <algorithm>
#include <cstring>
#include <optional>

#include "distributed/process_group.hpp"
#include "doppio.pb.h"
#include "doppio/solver.hpp"
#include "solver/average_precision.hpp"
#include "solver/grid.hpp"
#include "solver/snapshot.hpp"

namespace doppio {

namespace {

void set_precisions(TestResult::Output& output, std::map<int, float> precisions) {
  double sum = 0;
  for (const auto& [label, precision] : precisions) sum += precision;
  const auto classes = static_cast<double>(std::max<std::size_t>(1, precisions.size()));
  output.values = {static_cast<float>(sum / classes)};
  output.precisions = std::move(precisions);
}

/// Returns the type of the layer that makes `blob`.
std::string made_by(const Net& net, const std::string& blob) {
  std::string type;
  for (const NetLayer& layer : net.layers())
    for (const std::string& top : layer.top_names)
      if (top == blob) type = layer.type;
  return type;
}

/// Appends values to `text` byte by byte.
template <class Value>
void append(std::string& text, const Value* values, std::size_t count) {
  text.append(reinterpret_cast<const char*>(values), count * sizeof(Value));
}

/// Appends the outputs of the last batch, as BatchReader reads them.
void append_batch(std::string& text, Net& net, float loss) {
  append(text, &loss, 1);
  for (const std::string& name : net.outputs()) {
    const Tensor& output = net.blob(name).data;
    const auto axes = static_cast<std::uint64_t>(output.shape().axes());
    append(text, &axes, 1);
    for (int a = 0; a < output.shape().axes(); ++a) {
      const Index dim = output.shape()[a];
      append(text, &dim, 1);
    }
    append(text, output.read_host(), static_cast<std::size_t>(output.count()));
  }
}

/// Reads what append_batch() has written.
class BatchReader {
 public:
  explicit BatchReader(std::string text) : text_(std::move(text)) {}
  bool at_end() const { return at_ == text_.size(); }

  float loss() { return take<float>(); }
  void output(Tensor& tensor) {
    std::vector<Index> dims(take<std::uint64_t>());
    for (Index& dim : dims) dim = take<Index>();
    tensor.reshape(Shape(dims));
    read(tensor.write_host(), static_cast<std::size_t>(tensor.count()));
  }

 private:
  template <class Value>
  Value take() {
    Value value;
    read(&value, 1);
    return value;
  }
  template <class Value>
  void read(Value* to, std::size_t count) {
    ensure(count * sizeof(Value) <= text_.size() - at_, "a rank's test outputs are incomplete");
    std::memcpy(to, text_.data() + at_, count * sizeof(Value));
    at_ += count * sizeof(Value);
  }

  const std::string text_;
  std::size_t at_ = 0;
};

/// Adds up the outputs of batches, in their order.
class TestSums {
 public:
  TestSums(const Net& net, bool detection) : net_(net), sums_(net.outputs().size()) {
    for (const std::string& name : net.outputs())
      scored_.push_back(detection && made_by(net, name) == "DetectionEvaluate");
  }

  void add_loss(float loss) { loss_ += static_cast<double>(loss); }
  void add(std::size_t i, const Tensor& output) {
    if (scored_[i]) return scores_[i].add(output);
    const float* values = output.read_host();
    sums_[i].resize(static_cast<std::size_t>(output.count()));
    for (std::size_t k = 0; k < sums_[i].size(); ++k) sums_[i][k] += static_cast<double>(values[k]);
  }

  bool has_scores() const { return !scores_.empty(); }
  TestResult means(int batches, const std::string& ap_version) const {
    TestResult result;
    result.loss = static_cast<float>(loss_ / std::max(1, batches));
    for (std::size_t i = 0; i < sums_.size(); ++i) {
      const std::string& blob = net_.outputs()[i];
      result.outputs.push_back({blob, {}, net_.loss_weight(blob)});
      for (const double sum : sums_[i])
        result.outputs.back().values.push_back(static_cast<float>(sum / batches));
      if (const auto scores = scores_.find(i); scores != scores_.end())
        set_precisions(result.outputs.back(), scores->second.average_precisions(ap_version));
    }
    return result;
  }

 private:
  const Net& net_;
  std::vector<bool> scored_;  // by output
  std::vector<std::vector<double>> sums_;
  std::map<std::size_t, DetectionScores> scores_;  // by output
  double loss_ = 0;
};

/// Where a test begins: positions of the data layers and number of passes.
struct TestBegin {
  std::vector<Cursor> cursors;
  std::uint64_t passes;
};

/// Moves the parts of a test net from where they are to `batches` batches after `begin`, where a
/// batch has `records` records of each layer.
void seek_batch(const std::vector<Net*>& parts, const TestBegin& begin,
                const std::vector<std::uint64_t>& records, int batches) {
  const auto after = static_cast<std::uint64_t>(batches);
  for (Net* net : parts) {
    for (std::size_t i = 0; i < net->layers().size(); ++i) {
      Layer& layer = *net->layers()[i].layer;
      const Cursor to{begin.cursors[i].records + records[i] * after};
      if (layer.cursor() != to) layer.seek(to);
    }
    net->set_passes(begin.passes + after);
  }
}

std::vector<Cursor> positions(const Net& net) {
  std::vector<Cursor> all;
  for (const NetLayer& l : net.layers()) all.push_back(l.layer->cursor());
  return all;
}

}  // namespace

/// Returns the parts of test net `index` in this process, the first one first.
std::vector<Net*> Solver::test_parts(std::size_t index) {
  std::vector<Net*> parts = {test_nets_[index].get()};
  for (const auto& part : test_parts_[index]) parts.push_back(part.get());
  return parts;
}

/// Runs a forward pass of a test net. Returns the loss.
float Solver::test_loss(std::size_t index) {
  const std::vector<Net*> parts = test_parts(index);
  std::vector<float> losses(parts.size());
  run_passes(parts.size(), [&](std::size_t p) { losses[p] = parts[p]->forward(); });
  return losses[0];
}

/// Runs this rank's share of the batches of a test, and returns the outputs of all ranks, in the
/// order of the batches; null after a stop request.
///
/// All ranks run the first batch, which shows how many records a batch has. The others are divided
/// into consecutive ranges.
std::optional<std::string> Solver::test_together(std::size_t index, int batches) {
  const std::vector<Net*> parts = test_parts(index);
  Net& net = *parts.front();
  const TestBegin begin{positions(net), net.passes()};
  const Shard share = grid_->process_shard();
  const bool reports = grid_->part(0).index == 0;  // all parts of a net have the same outputs
  std::string own;
  std::vector<std::uint64_t> records;
  const int rest = std::max(0, batches - 1);
  const auto first = [&](int of) { return 1 + rest * of / share.count; };
  for (int round = -1; round < (rest + share.count - 1) / share.count; ++round) {
    poll_action();
    if (stopped_) return std::nullopt;
    const int batch = round < 0 ? 0 : first(share.index) + round;
    if (batches == 0 || (round >= 0 && batch >= first(share.index + 1))) continue;
    if (round == 0) seek_batch(parts, begin, records, batch);
    const float loss = test_loss(index);
    if (reports && (round >= 0 || share.index == 0)) append_batch(own, net, loss);
    if (round >= 0) continue;
    const std::vector<Cursor> after = positions(net);
    for (std::size_t i = 0; i < after.size(); ++i)
      records.push_back(after[i].records - begin.cursors[i].records);
  }
  if (batches > 0) seek_batch(parts, begin, records, batches);
  std::string all;
  for (const std::string& part : group_->all_gather(own)) all += part;
  return all;
}

TestResult Solver::test(int index) {
  require(index >= 0 && index < static_cast<int>(test_nets_.size()), "there is no test net #",
          index, "; the solver has ", test_nets_.size());
  Net& net = *test_nets_[static_cast<std::size_t>(index)];
  const int batches = param().test_iter(index);
  for (int p = 0; p < grid_->local_parts(); ++p) this->net(p).release_blobs();  // frees memory
  for (const auto& o : observers_) o->on_test_start(*this, index);

  const bool detection = param().eval_type() == "detection";
  TestSums sums(net, detection);
  if (group_) {
    share_statistics();
    const std::optional<std::string> outputs =
        test_together(static_cast<std::size_t>(index), batches);
    if (!outputs) return {};
    for (BatchReader reader(*outputs); !reader.at_end();) {
      sums.add_loss(reader.loss());
      Tensor output;
      for (std::size_t i = 0; i < net.outputs().size(); ++i) {
        reader.output(output);
        sums.add(i, output);
      }
    }
  }
  for (int batch = 0; batch < batches && !group_; ++batch) {
    poll_action();
    if (stopped_) return {};
    sums.add_loss(test_loss(static_cast<std::size_t>(index)));
    for (std::size_t i = 0; i < net.outputs().size(); ++i)
      sums.add(i, net.blob(net.outputs()[i]).data);
  }
  require_field(!detection || batches == 0 || sums.has_scores(), "eval_type",
                "eval_type: 'detection' needs a DetectionEvaluate layer in test net #", index);

  TestResult result = sums.means(batches, param().ap_version());
  result.net = index;
  for (const auto& o : observers_) o->on_test(*this, result);
  return result;
}

/// Runs all test nets. If a stop is requested, returns nothing and restores their data positions,
/// because a resumed run repeats this test.
std::vector<TestResult> Solver::test_all() {
  SolverState before;
  SnapshotAccess::save_test_positions(*this, before);
  std::vector<TestResult> results;
  for (int i = 0; i < static_cast<int>(test_nets_.size()) && !stopped_; ++i)
    results.push_back(test(i));
  if (!stopped_) return results;
  SnapshotAccess::restore_test_positions(*this, before);
  return {};
}

}  // namespace doppio
