#include "solver/rules/update_rule.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "solver/rules/regularizer.hpp"
#include "solver/solver_text.hpp"
#include "support/layer_harness.hpp"
#include "support/test_gpu.hpp"

namespace doppio {
namespace {

/// One parameter with weights {1, -2}, gradient {0.5, 1} and learning rate 0.1.
class Rule : public testing::TestWithParam<Device> {
 protected:
  Rule() {
    parameter_.reshape({2});
    set_values(parameter_.data, {1, -2});
    set_values(parameter_.grad, {0.5f, 1});
    for (Tensor& h : history_) h.reshape({2});
    step_.rate = 0.1f;
  }

  void make(const std::string& text) {
    rule_ = make_update_rule(solver_param(text), ctx_->device());
  }
  void update() {
    rule_->update(*ctx_, step_,
                  {parameter_.count(), parameter_.grad.read(*ctx_), parameter_.data.update(*ctx_),
                   history_[0].update(*ctx_), history_[rule_->history_count() - 1].update(*ctx_)});
    ++step_.iteration;
  }

  const std::unique_ptr<Context> ctx_ = test_context(GetParam());
  std::unique_ptr<UpdateRule> rule_;
  UpdateStep step_;
  Blob parameter_;
  Tensor history_[2];
};

INSTANTIATE_TEST_SUITE_P(Devices, Rule, testing::ValuesIn(test_devices()), device_test_name);

TEST_P(Rule, SgdMomentumIncludesTheLearningRate) {
  make("momentum: 0.5");
  update();
  expect_values(history_[0], {0.05f, 0.1f});
  expect_values(parameter_.data, {0.95f, -2.1f});
  step_.rate = 0.2f;
  update();
  expect_values(history_[0], {0.125f, 0.25f});
  expect_values(parameter_.data, {0.825f, -2.35f});
}

TEST_P(Rule, ClipsNormalizesAndRegularizesInThisOrder) {
  make("");
  step_.clip = 0.5f;
  step_.normalise = 0.25f;
  step_.l2 = 0.1f;
  update();
  expect_values(history_[0], {0.01625f, -0.0075f});  // 0.1 * (g / 8 + 0.1 w)
  expect_values(parameter_.data, {0.98375f, -1.9925f});
}

TEST_P(Rule, L1RegularizationAddsTheSign) {
  set_values(parameter_.data, {0, -2});
  set_values(parameter_.grad, {0, 0});
  make("");
  step_.l1 = 0.5f;
  update();
  expect_values(parameter_.data, {0, -1.95f});
}

TEST_P(Rule, NesterovComputesItsUpdate) {
  make("type: 'Nesterov' momentum: 0.5");
  update();
  expect_values(parameter_.data, {1 - 1.5f * 0.05f, -2 - 1.5f * 0.1f});
  update();  // v' = 0.075, 0.15: steps 1.5 v' - 0.5 v
  expect_values(history_[0], {0.075f, 0.15f});
  expect_values(parameter_.data, {0.925f - 0.0875f, -2.15f - 0.175f});
}

TEST_P(Rule, AdaGradComputesItsUpdate) {
  make("type: 'AdaGrad' delta: 0.5");
  update();
  expect_values(history_[0], {0.25f, 1});
  expect_values(parameter_.data, {1 - 0.05f / 1, -2 - 0.1f / 1.5f});
  update();
  expect_values(history_[0], {0.5f, 2});
}

TEST_P(Rule, RmsPropComputesItsUpdate) {
  make("type: 'RMSProp' rms_decay: 0.75 delta: 0.5");
  update();
  expect_values(history_[0], {0.0625f, 0.25f});
  expect_values(parameter_.data, {1 - 0.05f / 0.75f, -2 - 0.1f});
}

TEST_P(Rule, AdaDeltaComputesItsUpdate) {
  make("type: 'AdaDelta' momentum: 0.75 delta: 0.25");
  EXPECT_EQ(rule_->history_count(), 2);
  update();
  const float u0 = 0.5f * std::sqrt(0.25f / 0.3125f), u1 = std::sqrt(0.25f / 0.5f);
  expect_values(history_[0], {0.0625f, 0.25f});
  expect_values(history_[1], {0.25f * u0 * u0, 0.25f * u1 * u1});
  expect_values(parameter_.data, {1 - 0.1f * u0, -2 - 0.1f * u1});
}

TEST_P(Rule, AdamCorrectsItsBias) {
  make("type: 'Adam' momentum: 0.5 momentum2: 0.75 delta: 0.5");
  update();
  expect_values(history_[0], {0.25f, 0.5f});
  expect_values(history_[1], {0.0625f, 0.25f});
  // sqrt(1 - 0.75) / (1 - 0.5) = 1
  expect_values(parameter_.data, {1 - 0.1f * 0.25f / 0.75f, -2 - 0.1f * 0.5f});
  update();
  const float correction = std::sqrt(1 - 0.5625f) / 0.75f;
  expect_values(history_[0], {0.375f, 0.75f});
  expect_values(history_[1], {0.109375f, 0.4375f});
  EXPECT_NEAR(values(parameter_.data)[1],
              -2.05f - 0.1f * correction * 0.75f / (std::sqrt(0.4375f) + 0.5f), 1e-6);
}

TEST_P(Rule, SumsTheSquaresOfRanges) {
  make("");
  Tensor other;
  other.reshape({3});
  set_values(other, {1, 2, 3});
  const std::span<const float> gradient = values_of(*ctx_, parameter_.grad),
                               others = values_of(*ctx_, other);
  const std::span<const float> ranges[] = {gradient, others, others.subspan(1, 1), {}};
  EXPECT_EQ(rule_->squared_norms(*ctx_, ranges), (std::vector<double>{1.25, 14, 4, 0}));
}

TEST(RuleType, ReadsBothSpellings) {
  EXPECT_EQ(update_rule_type(solver_param("")), "SGD");
  EXPECT_EQ(update_rule_type(solver_param("type: 'Adam'")), "Adam");
  const char* names[] = {"SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"};
  for (int i = 0; i < 6; ++i) {
    SolverParameter param;
    param.set_solver_type(static_cast<SolverParameter::SolverType>(i));
    EXPECT_EQ(update_rule_type(param), names[i]);
    EXPECT_TRUE(make_update_rule(param, Device::cpu));
  }
  EXPECT_EQ(UpdateRuleRegistry::instance().types().size(), 6u);
}

TEST(RuleType, NamesWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"type: 'Adm'", "unknown solver type 'Adm'; did you mean 'Adam'"},
      {"type: 'SGD' solver_type: ADAM", "solver_type is the older form of type"},
      {"momentum: 1", "momentum must be at least 0 and less than 1, it is 1"},
      {"delta: -1", "delta must not be negative, it is -1"},
      {"type: 'AdaGrad' momentum: 0.9", "AdaGrad has no momentum; remove it"},
      {"type: 'RMSProp' momentum: 0.9", "RMSProp has no momentum; remove it"},
      {"type: 'RMSProp' rms_decay: 1", "rms_decay must be at least 0 and less than 1, it is 1"},
      {"type: 'Adam' momentum2: 1", "momentum2 must be at least 0 and less than 1, it is 1"},
  };
  for (const auto& [text, message] : cases) {
    const SolverParameter param = solver_param(text);
    EXPECT_ERROR(make_update_rule(param, Device::cpu), message);
  }
}

TEST(Regularization, ReadsItsType) {
  EXPECT_EQ(regularizer_of(solver_param("")), Regularizer::l2);
  EXPECT_EQ(regularizer_of(solver_param("regularization_type: 'L1'")), Regularizer::l1);
  EXPECT_ERROR(regularizer_of(solver_param("regularization_type: 'L3'")),
               "unknown regularization_type 'L3'; known are");
}

}  // namespace
}  // namespace doppio
