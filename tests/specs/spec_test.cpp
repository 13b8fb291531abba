// Runs every spec of this folder through the same checks on every device and engine; README.md
// lists them. A check that does not apply to a spec passes.
#include <algorithm>
#include <cmath>

#include "core/arena.hpp"
#include "doppio/net.hpp"
#include "spec_file.hpp"
#include "spec_run.hpp"
#include "support/test_gpu.hpp"

namespace doppio::specs {
namespace {

struct Case {
  NamedSpec named;
  Device device;
  std::string engine;  // empty: the one the program would choose
};

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const NamedSpec& named : read_specs())
    for (const Device device : test_devices()) {
      cases.push_back({named, device, ""});
      if (!engines_of(named.spec.layer()).empty()) cases.push_back({named, device, "GEMM"});
    }
  return cases;
}

std::string case_name(const testing::TestParamInfo<Case>& info) {
  const Case& c = info.param;
  return c.named.name + "_" + device_name(c.device) + (c.engine.empty() ? "" : "_reference");
}

void PrintTo(const Case& c, std::ostream* out) { *out << c.named.name; }

class SpecTest : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override { ASSERT_EQ(GetParam().named.error, ""); }
  const Spec& spec() const { return GetParam().named.spec; }
  Arrangement arrangement() const {
    return {.device = GetParam().device, .engine = GetParam().engine};
  }
};
INSTANTIATE_TEST_SUITE_P(Specs, SpecTest, testing::ValuesIn(all_cases()), case_name);

void expect_close(const Vectors& actual, const Vectors& expected, float tolerance,
                  const char* what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (std::size_t t = 0; t < actual.size(); ++t) {
    ASSERT_EQ(actual[t].size(), expected[t].size()) << what << ' ' << t;
    for (std::size_t i = 0; i < actual[t].size(); ++i) {
      const float a = actual[t][i], b = expected[t][i];
      // Written so that a NaN fails.
      const bool close = std::abs(a - b) <= tolerance * std::max(1.0f, std::abs(b));
      ASSERT_TRUE(close) << what << ' ' << t << " at " << i << ": " << a << ", expected " << b;
    }
  }
}

void expect_close(const Outputs& actual, const Outputs& expected, float tolerance) {
  expect_close(actual.tops, expected.tops, tolerance, "top");
  expect_close(actual.bottom_grads, expected.bottom_grads, tolerance, "gradient of bottom");
  expect_close(actual.param_grads, expected.param_grads, tolerance, "gradient of param");
}

/// Compares the gradient of one tensor with central differences of the objective.
void check_gradient(SpecRun& run, Inputs& in, std::vector<float>& x, const std::vector<float>& grad,
                    const Spec& spec, const std::string& what) {
  ASSERT_EQ(x.size(), grad.size()) << what;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float kept = x[i], above = kept + spec.step(), below = kept - spec.step();
    x[i] = above;
    const double high = run.objective(in);
    x[i] = below;
    const double low = run.objective(in);
    x[i] = kept;
    const double numeric = (high - low) / (double(above) - double(below));
    const double scale = std::max({1.0, std::abs(numeric), std::abs(double(grad[i]))});
    const bool close = std::abs(grad[i] - numeric) <= spec.threshold() * scale;
    ASSERT_TRUE(close) << what << " at " << i << ": backward gives " << grad[i]
                       << ", differences give " << numeric;
  }
}

TEST_P(SpecTest, GradientIsTheDerivative) {
  if (!spec().backward() || !spec().check_gradient()) return;
  SpecRun run(spec(), arrangement());
  Inputs in = run.draw();
  const Outputs out = run.run(in);
  for (std::size_t b = 0; b < in.bottoms.size(); ++b)
    if (run.wanted()[b])
      check_gradient(run, in, in.bottoms[b], out.bottom_grads[b], spec(), str("bottom ", b));
  for (std::size_t p = 0; p < in.params.size(); ++p) {
    const bool listed = static_cast<int>(p) < spec().param_size();
    if (!listed || spec().param(static_cast<int>(p)).grad())
      check_gradient(run, in, in.params[p], out.param_grads[p], spec(), str("param ", p));
  }
}

TEST_P(SpecTest, ParamGradientsAddUp) {
  if (!spec().backward()) return;
  SpecRun run(spec(), arrangement());
  const Inputs in = run.draw();
  Vectors twice = run.run(in).param_grads;
  if (twice.empty()) return;
  run.backward();
  for (std::size_t p = 0; p < twice.size(); ++p) {
    for (float& g : twice[p]) g *= 2;
    expect_values(run.harness().param(static_cast<int>(p)).grad, twice[p], spec().tolerance());
  }
}

TEST_P(SpecTest, UnwantedGradientsAreLeftAlone) {
  if (!spec().backward()) return;
  SpecRun run(spec(), arrangement());
  run.run(run.draw());
  const std::vector<bool> none(static_cast<std::size_t>(spec().bottom_size()));
  for (int b = 0; b < spec().bottom_size(); ++b) {
    Tensor& grad = run.harness().bottom(b).grad;
    set_values(grad, std::vector<float>(static_cast<std::size_t>(grad.count()), 7));
  }
  run.harness().backward(none);
  for (int b = 0; b < spec().bottom_size(); ++b)
    for (const float g : values(run.harness().bottom(b).grad)) ASSERT_EQ(g, 7) << "bottom " << b;
}

/// The traits let the net reuse memory, so a backward pass must not read what it says it does not.
TEST_P(SpecTest, BackwardReadsOnlyWhatItsTraitsSay) {
  if (!spec().backward()) return;
  SpecRun run(spec(), arrangement());
  const Inputs in = run.draw();
  const Outputs expected = run.run(in);
  const LayerTraits& traits = run.traits();
  if (traits.backward_reads_bottom && traits.backward_reads_top) return;
  const auto discard = [](Tensor& tensor) {
    tensor.use_arena(std::make_shared<Arena>(0), "a blob");
    tensor.write_host();
    tensor.release();
  };
  LayerHarness& h = run.harness();
  for (int b = 0; b < spec().bottom_size() && !traits.backward_reads_bottom; ++b)
    discard(h.bottom(b).data);
  for (int t = 0; t < spec().tops() && !traits.backward_reads_top; ++t) discard(h.top(t).data);
  for (std::size_t t = 0; t < in.top_grads.size(); ++t)
    h.top_grad(static_cast<int>(t), in.top_grads[t]);
  run.backward();
  for (std::size_t b = 0; b < expected.bottom_grads.size(); ++b)
    if (run.wanted()[b])
      expect_values(h.bottom(static_cast<int>(b)).grad, expected.bottom_grads[b], 0);
}

TEST_P(SpecTest, EnginesMatchTheReference) {
  const std::vector<std::string> engines = engines_of(spec().layer());
  if (engines.empty() || !GetParam().engine.empty()) return;
  SpecRun reference(spec(), {.device = GetParam().device, .engine = "GEMM"});
  const Inputs in = reference.draw();
  const Outputs expected = reference.run(in);
  SpecRun chosen(spec(), arrangement());
  expect_close(chosen.run(in), expected, spec().tolerance());
  for (const std::string& engine : engines) {
    SCOPED_TRACE(engine);
    std::unique_ptr<SpecRun> run;
    try {
      run = std::make_unique<SpecRun>(spec(),
                                      Arrangement{.device = GetParam().device, .engine = engine});
    } catch (const Error&) {
      continue;  // an engine may refuse a geometry or be missing from this build
    }
    expect_close(run->run(in), expected, spec().tolerance());
  }
}

TEST_P(SpecTest, CudaMatchesCpu) {
  if (GetParam().device == Device::cpu) return;
  SpecRun cpu(spec(), {.device = Device::cpu, .engine = GetParam().engine});
  const Inputs in = cpu.draw();
  SpecRun cuda(spec(), arrangement());
  expect_close(cuda.run(in), cpu.run(in), spec().tolerance());
}

TEST(SpecDevices, CudaMatchesCpu) {
  if (test_devices().size() < 2)
    GTEST_SKIP() << "no CUDA device, or a build without CUDA: nothing was compared with the CPU";
}

TEST_P(SpecTest, InPlaceMatchesOutOfPlace) {
  SpecRun apart(spec(), arrangement());
  if (!apart.traits().in_place) return;
  Arrangement in_place = arrangement();
  in_place.in_place = true;
  std::unique_ptr<SpecRun> together;
  try {
    together = std::make_unique<SpecRun>(spec(), in_place);
  } catch (const Error&) {
    return;  // refused for these parameters
  }
  const Inputs in = apart.draw();
  expect_close(together->run(in), apart.run(in), spec().tolerance());
}

TEST_P(SpecTest, ReshapedLayerMatchesAFreshOne) {
  if (spec().resize_axis_size() == 1 && spec().resize_axis(0) == -1) return;
  SpecRun small(spec(), arrangement());
  Arrangement grown = arrangement();
  grown.growth = 2;
  SpecRun large(spec(), grown);
  const Inputs small_in = small.draw(), large_in = large.draw();
  SpecRun resized(spec(), arrangement());
  resized.run(small_in);
  resized.grow(2);
  {
    SCOPED_TRACE("after growing");
    expect_close(resized.run(large_in), large.run(large_in), 0);
  }
  resized.grow(1);
  SCOPED_TRACE("after shrinking");
  expect_close(resized.run(small_in), small.run(small_in), 0);
}

TEST_P(SpecTest, BlockedMatchesNchw) {
  if (GetParam().device != Device::cpu) return;
  SpecRun nchw(spec(), arrangement());
  const Inputs in = nchw.draw();
  const Outputs expected = nchw.run(in);
  for (const auto& [data, grads] : {std::pair{true, true}, {true, false}, {false, true}}) {
    Arrangement blocked = arrangement();
    blocked.blocked_data = data;
    blocked.blocked_grads = grads;
    SpecRun run(spec(), blocked);
    expect_close(run.run(in), expected, spec().tolerance());
  }
}

/// The same of an accelerator's layouts; bfloat16 rounds what the layer writes as well.
TEST_P(SpecTest, NhwcMatchesNchw) {
  if (GetParam().device == Device::cpu) return;
  SpecRun nchw(spec(), arrangement());
  const Inputs in = nchw.draw();
  const Outputs expected = nchw.run(in);
  for (const auto& [data, grads] : {std::pair{true, true}, {true, false}, {false, true}}) {
    Arrangement nhwc = arrangement();
    nhwc.layout = Layout::nhwc;
    nhwc.blocked_data = data;
    nhwc.blocked_grads = grads;
    SpecRun run(spec(), nhwc);
    expect_close(run.run(in), expected, spec().tolerance());
  }
}

TEST_P(SpecTest, BlocksAreKept) {
  if (!spec().keeps_blocks() || !GetParam().engine.empty()) return;
  const Layout layout = GetParam().device == Device::cpu ? Layout::nchw_blocked : Layout::nhwc;
  Arrangement blocked = arrangement();
  blocked.layout = layout;
  blocked.blocked_data = true;
  SpecRun apart(spec(), blocked);
  const Inputs in = apart.draw();
  const Outputs expected = apart.run(in);
  for (int t = 0; t < spec().tops(); ++t)
    EXPECT_EQ(apart.harness().top(t).data.layout(), layout) << "top " << t;
  for (int b = 0; b < spec().bottom_size(); ++b)
    EXPECT_EQ(apart.harness().bottom(b).grad.layout(), layout) << "bottom " << b;
  if (!apart.traits().in_place) return;
  blocked.in_place = true;
  SpecRun together(spec(), blocked);
  expect_close(together.run(in), expected, spec().tolerance());
  EXPECT_EQ(together.harness().top(0).data.layout(), layout);
  EXPECT_EQ(together.harness().bottom(0).grad.layout(), layout);
}

/// The spec as a net: an Input layer with the bottoms, if there are any, and the layer.
NetParameter net_of(const Spec& spec) {
  NetParameter net;
  const LayerParameter layer = layer_of(spec, "");
  if (spec.bottom_size() == 0) {
    *net.add_layer() = layer;
    return net;
  }
  LayerParameter& input = *net.add_layer();
  input.set_name("input");
  input.set_type("Input");
  *input.mutable_top() = layer.bottom();
  for (const Values& bottom : spec.bottom())
    *input.mutable_input_param()->add_shape()->mutable_dim() = bottom.dim();
  *net.add_layer() = layer;
  return net;
}

Vectors forward(Net& net, const Inputs& in, int tops) {
  for (std::size_t b = 0; b < in.bottoms.size(); ++b)
    set_values(net.blob(str("b", b)).data, in.bottoms[b]);
  net.forward();
  Vectors out;
  for (int t = 0; t < tops; ++t) out.push_back(values(net.blob(str("t", t)).data));
  return out;
}

TEST_P(SpecTest, ParamsSurviveANetsMessage) {
  SpecRun run(spec(), arrangement());
  const Inputs in = run.draw();
  if (in.params.empty()) return;
  NetState state;
  state.set_phase(spec().layer().has_phase() ? spec().layer().phase() : TRAIN);
  Context& ctx = run.harness().ctx();
  Net written(ctx, net_of(spec()), state);
  for (std::size_t p = 0; p < in.params.size(); ++p)
    set_values(written.layer("layer").layer->params[p].data, in.params[p]);
  NetParameter message;
  written.to_proto(message);
  NetParameter read;
  ASSERT_TRUE(read.ParseFromString(message.SerializeAsString()));
  Net copy(ctx, read, state);
  const std::vector<Blob>& params = copy.layer("layer").layer->params;
  ASSERT_EQ(params.size(), in.params.size());
  for (std::size_t p = 0; p < in.params.size(); ++p)
    EXPECT_EQ(values(params[p].data), in.params[p]);
  expect_close(forward(copy, in, spec().tops()), forward(written, in, spec().tops()), 0, "top");
}

/// On a device, a pass that was captured and is replayed computes what the layer's code does
/// with other inputs, step by step.
TEST_P(SpecTest, ReplayedPassesAreTheSame) {
  if (GetParam().device == Device::cpu || !spec().backward() || spec().bottom_size() == 0) return;
  SpecRun run(spec(), arrangement());
  NetParameter param = net_of(spec());
  param.set_force_backward(true);
  LayerParameter& layer = *param.mutable_layer(1);
  for (int t = layer.loss_weight_size(); t < spec().tops(); ++t)
    layer.add_loss_weight(0.5f + static_cast<float>(t));
  NetState state;
  state.set_phase(spec().layer().has_phase() ? spec().layer().phase() : TRAIN);
  Context stepwise(test_gpu(), 1), replaying(test_gpu(), 1);
  stepwise.graph_capture = false;
  std::vector<std::unique_ptr<Net>> nets;
  for (Context* ctx : {&stepwise, &replaying})
    nets.push_back(std::make_unique<Net>(*ctx, param, state));
  Inputs in = run.draw();
  for (const auto& net : nets)
    for (std::size_t p = 0; p < in.params.size(); ++p)
      set_values(net->layer("layer").layer->params[p].data, in.params[p]);
  for (int pass = 0; pass < 5; ++pass) {
    SCOPED_TRACE(str("pass ", pass, ", replays so far: ", nets[1]->replay_count()));
    Outputs out[2];
    for (std::size_t n = 0; n < 2; ++n) {
      Net& net = *nets[n];
      for (std::size_t b = 0; b < in.bottoms.size(); ++b)
        set_values(net.blob(str("b", b)).data, in.bottoms[b]);
      net.clear_grads();
      net.forward_backward();
      for (int t = 0; t < spec().tops(); ++t)
        out[n].tops.push_back(values(net.blob(str("t", t)).data));
      for (std::size_t b = 0; b < in.bottoms.size(); ++b)
        if (net.layer("layer").wanted[b])
          out[n].bottom_grads.push_back(values(net.blob(str("b", b)).grad));
      for (const Blob& blob : net.layer("layer").layer->params)
        out[n].param_grads.push_back(values(blob.grad));
    }
    expect_close(out[1], out[0], 0);
    std::rotate(in.bottoms[0].begin(), in.bottoms[0].begin() + 1, in.bottoms[0].end());
  }
  RecordProperty("replays", static_cast<int>(nets[1]->replay_count()));
}

TEST_P(SpecTest, TwoRunsAreIdentical) {
  SpecRun run(spec(), arrangement());
  const Inputs in = run.draw();
  const Outputs first = run.run(in);
  expect_close(run.run(in), first, 0);
  SpecRun another(spec(), arrangement());
  expect_close(another.run(in), first, 0);
}

}  // namespace
}  // namespace doppio::specs
