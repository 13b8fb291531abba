#include "solver/data_report.hpp"

#include "cuda/records.hpp"
#include "distributed/on_ranks.hpp"
#include "solver/read_solver.hpp"
#include "solver/tiny_net.hpp"
#include "support/scratch_folder.hpp"

namespace doppio {
namespace {

using LineList = std::vector<std::string>;

class DataReport : public testing::Test {
 protected:
  DataReport() { write_records(folder / "db", kRecords, 2, kRecords); }

  /// A solver of a net whose data layers read all records of the database.
  SolverParameter solver(int train_batch, int test_batch, const std::string& more) const {
    const auto data = [&](const char* phase, int batch) {
      return str("layer { name: 'data' type: 'Data' top: 'data' top: 'label' include { phase: ",
                 phase, " } data_param { backend: LMDB source: '", folder / "db",
                 "' batch_size: ", batch, " } } ");
    };
    SolverParameter param =
        tiny_solver(more, data("TRAIN", train_batch) + data("TEST", test_batch) + R"(
        layer { name: 'ip' type: 'InnerProduct' bottom: 'data' top: 'ip'
                inner_product_param { num_output: 7 weight_filler { type: 'xavier' } } }
        layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'ip' bottom: 'label' top: 'loss' })");
    param.set_snapshot_prefix(folder / "snapshot");
    return param;
  }

  static LineList report_of(const SolverParameter& param) {
    Context ctx;
    Solver solver(ctx, param);
    return data_report(solver);
  }

  static constexpr int kRecords = 26;
  ScratchFolder folder;
};

TEST_F(DataReport, GivesEpochsAndWhatATestReads) {
  EXPECT_EQ(report_of(solver(2, 13, "max_iter: 104 test_iter: 2 test_interval: 50")),
            (LineList{"Train: 26 images, batch 2: 13 iterations an epoch; 104 iterations are 8 "
                      "epochs",
                      "Test net #0: 26 images, 2 batches of 13: each image once"}));
}

TEST_F(DataReport, CountsTheBatchesOfAnIteration) {
  EXPECT_EQ(report_of(solver(2, 13, "max_iter: 26 iter_size: 5")),
            (LineList{"Train: 26 images, batch 2 x iter_size 5: 2.6 iterations an epoch; 26 "
                      "iterations are 10 epochs"}));
}

TEST_F(DataReport, RoundsPartsOfAnEpoch) {
  const auto line = [&](int batch, const std::string& more) {
    return report_of(solver(batch, 1, more)).at(0);
  };
  EXPECT_EQ(line(13, "max_iter: 1"),
            "Train: 26 images, batch 13: 2 iterations an epoch; 1 iteration is 0.5 epochs");
  EXPECT_EQ(line(1, "max_iter: 1"),
            "Train: 26 images, batch 1: 26 iterations an epoch; 1 iteration is 0.038 epochs");
  EXPECT_EQ(line(7, "max_iter: 100"),
            "Train: 26 images, batch 7: 3.71 iterations an epoch; 100 iterations are 26.92 epochs");
  EXPECT_EQ(line(52, "max_iter: 3"),
            "Train: 26 images, batch 52: 0.5 iterations an epoch; 3 iterations are 6 epochs");
  EXPECT_EQ(line(26, "max_iter: 1"),
            "Train: 26 images, batch 26: 1 iteration an epoch; 1 iteration is 1 epoch");
  EXPECT_EQ(line(2, ""), "Train: 26 images, batch 2: 13 iterations an epoch");
}

TEST_F(DataReport, TellsTestsThatReadMoreOrLessThanAllImages) {
  const LineList lines = report_of(
      solver(2, 13, "test_iter: 1 test_iter: 3 test_iter: 4 test_iter: 0 test_interval: 5"));
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[1], "Test net #0: 26 images, 1 batch of 13: reads 13 of 26 images");
  EXPECT_EQ(lines[2], "Test net #1: 26 images, 3 batches of 13: reads some images more than once");
  EXPECT_EQ(lines[3], "Test net #2: 26 images, 4 batches of 13: each image 2 times");
}

TEST_F(DataReport, NamesTheIterationOfAResumedRun) {
  Context ctx;
  const SolverParameter param = solver(13, 1, "max_iter: 20");
  std::string state;
  {
    Solver first(ctx, param);
    first.step(3);
    state = first.snapshot();
  }
  Solver resumed(ctx, param);
  resumed.restore(state);

  EXPECT_EQ(data_report(resumed),
            (LineList{"Train: 26 images, batch 13: 2 iterations an epoch; 20 iterations are 10 "
                      "epochs; resumed at iteration 3 of 20"}));
}

TEST_F(DataReport, AddsUpTheShardsOfAllRanks) {
  const SolverParameter param = solver(6, 13, "max_iter: 13 test_iter: 2 test_interval: 5");
  std::vector<LineList> reports(3);  // of 9, 9 and 8 images
  on_ranks(3, [&](const std::shared_ptr<ProcessGroup>& group) {
    Context ctx;
    Context* const contexts[] = {&ctx};
    SourcedSolver source;
    source.param = param;
    Solver solver(contexts, std::move(source), group);
    reports[static_cast<std::size_t>(group->rank())] = data_report(solver);
  });

  for (const LineList& report : reports)
    EXPECT_EQ(report, (LineList{"Train: 26 images, batch 6: 4.33 iterations an epoch; 13 "
                                "iterations are 3 epochs",
                                "Test net #0: 26 images, 2 batches of 13: each image once"}));
}

TEST_F(DataReport, HasNoLineForDataOfUnknownSize) {
  EXPECT_EQ(report_of(tiny_solver("max_iter: 5 test_iter: 2 test_interval: 5")), LineList{});
}

}  // namespace
}  // namespace doppio
