#include "solver/rules/lars.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "solver/tiny_net.hpp"
#include "support/test_gpu.hpp"

namespace doppio {
namespace {

/// The factor that replaces lr_mult, for weights and a gradient with the norms `w` and `g`.
double factor_of(const SolverParameter& p, double w, double g) {
  if (w == 0 || g == 0) return 1;
  if (p.larc()) return (1.0 - p.momentum()) * p.larc_eta() * w / g;
  return p.local_gw_ratio() * w / (g + p.weight_decay() * w);
}

/// The amount that update `t` (from 1) subtracts from a weight. `h` and `a` are its history.
double step_of(const SolverParameter& p, int t, double rate, double g, double& h, double& a) {
  const double m = p.momentum(), d = p.delta(), b = p.momentum2(), c = p.rms_decay(), before = h;
  const std::string type = update_rule_type(p);
  if (type == "SGD") return h = m * h + rate * g;
  if (type == "Nesterov") return (1 + m) * (h = m * h + rate * g) - m * before;
  if (type == "AdaGrad") return rate * g / (std::sqrt(h += g * g) + d);
  if (type == "RMSProp") return rate * g / (std::sqrt(h = c * h + (1 - c) * g * g) + d);
  if (type == "AdaDelta") {
    h = m * h + (1 - m) * g * g;
    const double u = g * std::sqrt((a + d) / (h + d));
    a = m * a + (1 - m) * u * u;
    return rate * u;
  }
  h = m * h + (1 - m) * g;
  a = b * a + (1 - b) * g * g;
  const double correction = std::sqrt(1 - std::pow(b, t)) / (1 - std::pow(m, t));
  return rate * correction * h / (std::sqrt(a) + d);
}

using Doubles = std::vector<double>;

double squares(const Doubles& values) {
  double sum = 0;
  for (const double v : values) sum += v * v;
  return sum;
}

std::vector<Doubles> tensors_of(Solver& solver, Tensor Blob::*tensor) {
  std::vector<Doubles> all;
  for (const Parameter& p : solver.net().parameters()) {
    const std::vector<float> v = values(p.blob->*tensor);
    all.emplace_back(v.begin(), v.end());
  }
  return all;
}

class LarsTest : public testing::TestWithParam<Device> {
 protected:
  const std::unique_ptr<Context> ctx_ = test_context(GetParam());
};

INSTANTIATE_TEST_SUITE_P(Devices, LarsTest, testing::ValuesIn(test_devices()), device_test_name);

/// The biases are 0 at first, `idle` has no gradient, and one parameter does not learn.
constexpr char kNet[] = R"(
    layer { name: 'data' type: 'TestSource' top: 'data' top: 'label'
            dummy_data_param { num: 4 } }
    layer { name: 'ip1' type: 'InnerProduct' bottom: 'data' top: 'ip1'
            param { lr_mult: 2 decay_mult: 0.5 } param { lr_mult: 3 decay_mult: 0 }
            inner_product_param { num_output: 5 weight_filler { type: 'xavier' } } }
    layer { name: 'relu1' type: 'ReLU' bottom: 'ip1' top: 'ip1' }
    layer { name: 'ip2' type: 'InnerProduct' bottom: 'ip1' top: 'ip2'
            param { } param { lr_mult: 0 }
            inner_product_param { num_output: 3 weight_filler { type: 'xavier' }
                                  bias_filler { value: 0.5 } } }
    layer { name: 'idle' type: 'InnerProduct' bottom: 'ip1' top: 'idle'
            inner_product_param { num_output: 2 weight_filler { type: 'xavier' } } }
    layer { name: 'silence' type: 'Silence' bottom: 'idle' }
    layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'ip2' bottom: 'label' top: 'loss' })";

TEST_P(LarsTest, TrainingEqualsAReferenceInDouble) {
  const std::string lars = "weight_decay: 0.1 local_lr_auto: true local_gw_ratio: 0.5 ";
  const std::string larc = "weight_decay: 0.1 larc: true larc_eta: 0.5 momentum: 0.5 ";
  const std::string cases[] = {lars + "momentum: 0.9",
                               lars + "momentum: 0.9 iter_size: 2 clip_gradients: 0.05",
                               lars + "type: 'Nesterov' momentum: 0.9",
                               lars + "type: 'AdaGrad' delta: 0.1",
                               lars + "type: 'RMSProp' delta: 0.1 iter_size: 2",
                               lars + "type: 'AdaDelta' momentum: 0.9 delta: 0.01",
                               lars + "type: 'Adam' momentum: 0.9 delta: 0.01 clip_gradients: 0.05",
                               larc + "iter_size: 2",
                               larc + "larc_policy: 'clip'",
                               larc + "larc_policy: 'clip' type: 'Nesterov'"};
  for (const std::string& text : cases) {
    SCOPED_TRACE(text);
    Solver solver(*ctx_, tiny_solver(text, kNet));
    const SolverParameter& p = solver.param();
    std::vector<Doubles> weights = tensors_of(solver, &Blob::data), h, a;
    for (const Doubles& w : weights) h.emplace_back(w.size());
    a = h;
    for (int t = 1; t <= 3; ++t) {
      solver.step(1);
      const std::vector<Doubles> gradients = tensors_of(solver, &Blob::grad),
                                 actual = tensors_of(solver, &Blob::data);
      double norm = 0;
      for (const Doubles& g : gradients) norm += squares(g);
      norm = std::sqrt(norm);
      double scale = 1.0 / p.iter_size();
      if (p.clip_gradients() >= 0) scale *= std::min(1.0, p.clip_gradients() / norm);
      for (std::size_t i = 0; i < weights.size(); ++i) {
        const Parameter& parameter = solver.net().parameters()[i];
        const double factor =
            factor_of(p, std::sqrt(squares(weights[i])), std::sqrt(squares(gradients[i])) * scale);
        double rate = p.larc_policy() == "clip" ? std::min<double>(p.base_lr(), factor)
                                                : p.base_lr() * factor;
        if (parameter.lr_mult == 0) rate = 0;
        for (std::size_t k = 0; k < weights[i].size(); ++k) {
          double& w = weights[i][k];
          const double g = gradients[i][k] * scale + p.weight_decay() * parameter.decay_mult * w;
          w -= step_of(p, t, rate, g, h[i][k], a[i][k]);
          EXPECT_NEAR(actual[i][k], w, 1e-6) << "iteration " << t << ", parameter " << i;
        }
      }
    }
  }
}

TEST_P(LarsTest, SumsOfRangesAddUpToThoseOfTheParameter) {
  Blob blob;
  blob.reshape({9001});
  std::vector<float> w, g;
  for (int i = 0; i < 9001; ++i) {
    w.push_back(std::sin(static_cast<float>(i)));
    g.push_back(std::cos(static_cast<float>(i)) / 100);
  }
  set_values(blob.data, w);
  set_values(blob.grad, g);
  const auto rule = make_update_rule(solver_param(""), ctx_->device());
  const Parameter parameters[] = {{"fc", 0, &blob}};
  const SquaredNorms whole = squared_norms(*ctx_, *rule, parameters)[0];
  EXPECT_NEAR(whole.weights, squares({w.begin(), w.end()}), 1e-7 * whole.weights);
  EXPECT_NEAR(whole.gradient, squares({g.begin(), g.end()}), 1e-7 * whole.gradient);

  SquaredNorms sum;
  for (const std::size_t begin : {0u, 3001u, 6002u}) {
    const std::size_t count = std::min<std::size_t>(3001, 9001 - begin);
    const std::span<const float> ranges[] = {values_of(*ctx_, blob.data).subspan(begin, count),
                                             values_of(*ctx_, blob.grad).subspan(begin, count)};
    const std::vector<double> part = rule->squared_norms(*ctx_, ranges);
    sum.weights += part[0];
    sum.gradient += part[1];
  }
  const Lars lars = *lars_of(solver_param("local_lr_auto: true weight_decay: 0.0005"));
  UpdateStep step;
  step.rate = 10;
  EXPECT_NEAR(lars.rate(step, 1, sum), lars.rate(step, 1, whole), 1e-6 * lars.rate(step, 1, whole));
}

/// The rate for weights of norm 2 and a gradient of norm 3 before clipping.
float rate_of(const std::string& text, float learning_rate, float lr_mult = 1,
              const SquaredNorms& norms = {4, 9}) {
  UpdateStep step;
  step.rate = learning_rate;
  step.clip = 0.5f;
  step.normalise = 0.25f;
  return lars_of(solver_param("momentum: 0.75 weight_decay: 0.5 " + text))
      ->rate(step, lr_mult, norms);
}

TEST(Lars, UsesTheGradientAfterClippingAndNormalization) {
  EXPECT_FLOAT_EQ(rate_of("local_lr_auto: true", 10), 10 * 0.001 * 2 / (0.375 + 0.5 * 2));
  EXPECT_FLOAT_EQ(rate_of("local_lr_auto: true local_gw_ratio: 0.5", 10), 10 * 0.5 * 2 / 1.375);
}

TEST(Lars, LarcHasNoDecayAndClipsOrScales) {
  const std::string larc = "larc: true larc_eta: 0.3 ";  // a factor of 0.25 * 0.3 * 2 / 0.375
  EXPECT_FLOAT_EQ(rate_of(larc, 10), 4);
  EXPECT_FLOAT_EQ(rate_of(larc + "larc_policy: 'scale'", 10), 4);
  EXPECT_FLOAT_EQ(rate_of(larc + "larc_policy: 'clip'", 10), 0.4f);
  EXPECT_FLOAT_EQ(rate_of(larc + "larc_policy: 'clip'", 0.1f), 0.1f);
}

TEST(Lars, TheFactorIsOneIfANormIsZero) {
  for (const SquaredNorms& norms : {SquaredNorms{0, 9}, {4, 0}, {0, 0}}) {
    EXPECT_EQ(rate_of("local_lr_auto: true", 10, 1, norms), 10);
    EXPECT_EQ(rate_of("larc: true", 10, 1, norms), 10);
    EXPECT_EQ(rate_of("larc: true larc_policy: 'clip'", 10, 1, norms), 1);
  }
}

TEST(Lars, IgnoresTheMultiplierUnlessItIsZero) {
  for (const char* text : {"local_lr_auto: true", "larc: true larc_policy: 'clip'"}) {
    EXPECT_EQ(rate_of(text, 10, 2), rate_of(text, 10, 1));
    EXPECT_EQ(rate_of(text, 10, 0), 0);
  }
}

TEST(Lars, IsOffByDefault) {
  EXPECT_FALSE(lars_of(solver_param("")));
  EXPECT_FALSE(lars_of(solver_param("local_gw_ratio: 0.01 larc_policy: 'clip' larc_eta: 0.01")));
}

TEST(Lars, NamesWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"local_lr_auto: true local_gw_ratio: 0", "local_gw_ratio must be greater than 0, it is 0"},
      {"local_lr_auto: true local_gw_ratio: nan", "local_gw_ratio must be greater than 0"},
      {"larc: true larc_eta: -1", "larc_eta must be greater than 0, it is -1"},
      {"larc: true larc_policy: 'clipp'",
       "unknown larc_policy 'clipp'; did you mean 'clip'?; known are scale and clip"},
      {"larc: true local_lr_auto: true", "larc and local_lr_auto are two forms of the same"},
  };
  Context ctx;
  for (const auto& [text, message] : cases) {
    EXPECT_ERROR(lars_of(solver_param(text)), message);
    EXPECT_ERROR(Solver(ctx, tiny_solver(text)), message);
  }
}

TEST(Lars, TrainsANetWithoutParameters) {
  Context ctx;
  Solver solver(ctx, tiny_solver("local_lr_auto: true", R"(
      layer { name: 'data' type: 'TestSource' top: 'data' top: 'label' dummy_data_param { num: 4 } }
      layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'data' bottom: 'label' top: 'loss' })"));
  solver.step(1);
  EXPECT_EQ(solver.iteration(), 1);
}

}  // namespace
}  // namespace doppio
