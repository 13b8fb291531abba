#include "support/layer_harness.hpp"

namespace doppio {
namespace {

std::string decoder(const std::string& param = "") {
  return "type: 'CTCGreedyDecoder' ctc_decoder_param { " + param + " }";
}

constexpr Index kSteps = 5;

/// T x N x C probabilities, 0.5 for these classes of two texts and less for the other two classes.
std::vector<float> probabilities(const std::vector<int>& first, const std::vector<int>& second) {
  std::vector<float> all;
  for (std::size_t t = 0; t < kSteps; ++t)
    for (const auto* text : {&first, &second})
      for (int c = 0; c < 3; ++c) all.push_back((*text)[t] == c ? 0.5f : 0.25f);
  return all;
}

const std::vector<float> kWhole = {0, 0, 1, 1, 1, 1, 1, 1, 1, 1};

TEST(CtcGreedyDecoder, DropsBlanksAndRepetitions) {
  LayerHarness h(decoder(), {{kSteps, 2, 3}, {kSteps, 2}}, {.tops = 2});
  h.bottom_data(0, probabilities({0, 0, 2, 0, 1}, {2, 2, 1, 1, 2}));
  h.bottom_data(1, kWhole);
  h.forward();
  EXPECT_EQ(h.top(0).shape(), (Shape{2, kSteps, 1, 1}));
  expect_values(h.top(0).data, {0, 0, 1, -1, -1, 1, -1, -1, -1, -1});
  expect_values(h.top(1).data, {-2.5f, -2.5f});
}

TEST(CtcGreedyDecoder, EndsSequencesAtSequenceIndicators) {
  LayerHarness h(decoder(), {{kSteps, 2, 3}, {kSteps, 2}}, {.tops = 2});
  h.bottom_data(0, probabilities({0, 1, 0, 1, 0}, {1, 0, 1, 0, 1}));
  h.bottom_data(1, {0, 1, 1, 0, 1, 1, 0, 1, 1, 1});  // after 3 steps, and after 1
  h.forward();
  expect_values(h.top(0).data, {0, 1, 0, -1, -1, 1, -1, -1, -1, -1});
  expect_values(h.top(1).data, {-1.5f, -0.5f});
}

TEST(CtcGreedyDecoder, TakesAnotherBlankAndKeepsRepetitions) {
  LayerHarness h(decoder("blank_index: 0 ctc_merge_repeated: false"),
                 {{kSteps, 2, 3}, {kSteps, 2}});
  h.bottom_data(0, probabilities({1, 1, 0, 2, 2}, {0, 0, 0, 0, 0}));
  h.bottom_data(1, kWhole);
  h.forward();
  expect_values(h.top(0).data, {1, 1, 2, 2, -1, -1, -1, -1, -1, -1});
}

TEST(CtcGreedyDecoder, ComputesSequenceAccuracy) {
  for (const int tops : {2, 3}) {
    LayerHarness h(decoder(), {{kSteps, 2, 3}, {kSteps, 2}, {kSteps, 2}}, {.tops = tops});
    h.bottom_data(0, probabilities({0, 2, 1, 2, 2}, {1, 2, 1, 2, 2}));
    h.bottom_data(1, kWhole);
    // 0 1, which is right, and 1, with which the second text 1 1 only begins.
    h.bottom_data(2, {0, 1, 1, -1, -1, -1, -1, -1, -1, -1});
    h.forward();
    expect_values(h.top(tops - 1).data, {0.5f});
  }
}

TEST(CtcGreedyDecoder, RefusesBottomsThatDoNotFit) {
  EXPECT_ERROR(LayerHarness(decoder(), {{kSteps, 2}, {kSteps, 2}}), "T x N x C");
  EXPECT_ERROR(LayerHarness(decoder(), {{kSteps, 2, 3}, {kSteps, 1}}),
               "each of 5 steps of 2 texts");
  EXPECT_ERROR(LayerHarness(decoder("blank_index: 3"), {{kSteps, 2, 3}, {kSteps, 2}}),
               "not one of the 3 classes");
  EXPECT_ERROR(LayerHarness(decoder(), {{kSteps, 2, 3}, {kSteps, 2}}, {.tops = 3}),
               "needs the right ones");
}

}  // namespace
}  // namespace doppio
