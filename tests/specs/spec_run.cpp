#include "spec_run.hpp"

#include <google/protobuf/text_format.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace doppio::specs {
namespace {

constexpr std::uint64_t kPass = 3;  // any number but the default

Shape shape_of(const Spec& spec, const Values& values, int growth) {
  std::vector<Index> dims(values.dim().begin(), values.dim().end());
  std::vector<int> axes(spec.resize_axis().begin(), spec.resize_axis().end());
  if (axes.empty()) axes = {0};
  for (const int axis : axes)
    if (!values.fixed() && axis >= 0 && axis < static_cast<int>(dims.size()))
      dims[static_cast<std::size_t>(axis)] *= growth;
  return Shape(dims);
}

float uniform(std::mt19937& random, float min, float max) {
  return min + (max - min) * static_cast<float>(random() >> 8) * 0x1p-24f;
}

/// `count` values as `values` describes them. Only std::mt19937 is used, because the distributions
/// of the standard library differ between implementations.
std::vector<float> draw_values(const Values& values, Index count, float step, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<float> v(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < v.size(); ++i) {
    if (values.value_size() > 0) {
      v[i] = values.value(static_cast<int>(i) % values.value_size());
    } else if (values.classes() > 0) {
      v[i] = static_cast<float>(random() % static_cast<unsigned>(values.classes()));
    } else {
      v[i] = uniform(random, values.min(), values.max());
      for (const float kink : values.kink())
        if (std::abs(v[i] - kink) < 2 * step) v[i] = kink + (v[i] < kink ? -2 : 2) * step;
    }
  }
  return v;
}

/// Gives all bottoms marked `distinct` one shuffled series of evenly spaced values.
void make_distinct(const Spec& spec, Vectors& bottoms) {
  std::vector<float*> places;
  float min = 0, max = 0;
  for (int i = 0; i < spec.bottom_size(); ++i) {
    if (!spec.bottom(i).distinct()) continue;
    min = spec.bottom(i).min(), max = spec.bottom(i).max();
    for (float& v : bottoms[static_cast<std::size_t>(i)]) places.push_back(&v);
  }
  std::mt19937 random(99);
  for (std::size_t i = places.size(); i > 1; --i) std::swap(places[i - 1], places[random() % i]);
  for (std::size_t i = 0; i < places.size(); ++i)
    *places[i] = min + (max - min) * static_cast<float>(i) / static_cast<float>(places.size());
}

/// The parameter message of `layer` that has an `engine` field, made if it is absent; null if the
/// type has no engines.
google::protobuf::Message* engine_message(LayerParameter& layer) {
  std::string name = layer.type() + "_param";
  std::transform(name.begin(), name.end(), name.begin(), ::tolower);
  const auto* descriptor = layer.GetDescriptor();
  const auto* reflection = layer.GetReflection();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const auto* field = descriptor->field(i);
    if (!field->message_type() || field->is_repeated()) continue;
    if (field->name() != name && !reflection->HasField(layer, field)) continue;
    if (field->message_type()->FindFieldByName("engine"))
      return reflection->MutableMessage(&layer, field);
  }
  return nullptr;
}

}  // namespace

std::vector<std::string> engines_of(const LayerParameter& layer) {
  LayerParameter copy = layer;
  const auto* message = engine_message(copy);
  if (!message) return {};
  std::vector<std::string> names;
  const auto* type = message->GetDescriptor()->FindFieldByName("engine")->enum_type();
  for (int i = 0; i < type->value_count(); ++i)
    if (type->value(i)->number() != 0) names.emplace_back(type->value(i)->name());
  return names;
}

LayerParameter layer_of(const Spec& spec, const std::string& engine) {
  LayerParameter layer = spec.layer();
  layer.set_name("layer");
  for (int b = 0; b < spec.bottom_size(); ++b) layer.add_bottom(str("b", b));
  for (int t = 0; t < spec.tops(); ++t) layer.add_top(str("t", t));
  if (engine.empty()) return layer;
  auto* message = engine_message(layer);
  const auto* field = message->GetDescriptor()->FindFieldByName("engine");
  message->GetReflection()->SetEnum(message, field, field->enum_type()->FindValueByName(engine));
  return layer;
}

SpecRun::SpecRun(const Spec& spec, const Arrangement& arrangement)
    : spec_(spec), arrangement_(arrangement) {
  const LayerParameter layer = layer_of(spec, arrangement.engine);
  traits_ = LayerRegistry::instance().find(layer.type(), arrangement.device).traits;
  std::string text;
  require(google::protobuf::TextFormat::PrintToString(layer, &text), "the layer has no text form");
  std::vector<Shape> shapes;
  for (const Values& values : spec.bottom())
    shapes.push_back(shape_of(spec, values, arrangement.growth));
  harness_ = std::make_unique<LayerHarness>(
      text, shapes,
      HarnessOptions{
          .tops = spec.tops(), .in_place = arrangement.in_place, .device = arrangement.device});
}

void SpecRun::grow(int factor) {
  for (int i = 0; i < spec_.bottom_size(); ++i)
    harness_->bottom(i).reshape(shape_of(spec_, spec_.bottom(i), factor));
  harness_->reshape();
}

std::size_t SpecRun::grad_tops() const {
  if (spec_.has_grad_tops()) return static_cast<std::size_t>(spec_.grad_tops());
  return traits_.is_loss ? 1 : static_cast<std::size_t>(spec_.tops());
}

bool SpecRun::has_gradient(const Values& values, std::size_t bottom) const {
  return spec_.backward() && values.grad() && values.classes() == 0 &&
         !(traits_.no_grad_bottoms >> bottom & 1u);
}

std::vector<bool> SpecRun::wanted() const {
  std::vector<bool> flags;
  for (int i = 0; i < spec_.bottom_size(); ++i)
    flags.push_back(has_gradient(spec_.bottom(i), static_cast<std::size_t>(i)));
  return flags;
}

Inputs SpecRun::draw() {
  Inputs in;
  const float step = spec_.step();
  for (int i = 0; i < spec_.bottom_size(); ++i)
    in.bottoms.push_back(
        draw_values(spec_.bottom(i), harness_->bottom(i).count(), step, 100u + unsigned(i)));
  make_distinct(spec_, in.bottoms);
  for (int i = 0; i < static_cast<int>(harness_->layer().params.size()); ++i) {
    const Values& values = i < spec_.param_size() ? spec_.param(i) : Values::default_instance();
    in.params.push_back(draw_values(values, harness_->param(i).count(), step, 200u + unsigned(i)));
  }
  load(in);
  harness_->reshape();  // the shape of a top may depend on the data
  for (int i = 0; i < spec_.tops(); ++i) {
    const Index count = harness_->top(i).count();
    in.top_grads.push_back(
        static_cast<std::size_t>(i) < grad_tops()
            ? draw_values(Values::default_instance(), count, 0, 300u + unsigned(i))
            : std::vector<float>(static_cast<std::size_t>(count)));
  }
  return in;
}

void SpecRun::load(const Inputs& in) {
  harness_->ctx().pass = kPass;
  for (std::size_t i = 0; i < in.bottoms.size(); ++i) {
    harness_->bottom_data(static_cast<int>(i), in.bottoms[i]);
    if (arrangement_.blocked_data) block(harness_->bottom(static_cast<int>(i)).data);
  }
  for (std::size_t i = 0; i < in.params.size(); ++i)
    harness_->param_data(static_cast<int>(i), in.params[i]);
}

/// Makes the arrangement's layout the only form in which `tensor` is current, if it can be.
void SpecRun::block(Tensor& tensor) {
  const bool can =
      arrangement_.layout == Layout::nchw_blocked ? tensor.can_block() : tensor.shape().axes() == 4;
  if (can && tensor.count() > 0) tensor.update(harness_->ctx(), arrangement_.layout);
}

double SpecRun::objective(const Inputs& in) {
  load(in);
  harness_->reshape();
  harness_->forward();
  double sum = 0;
  for (std::size_t t = 0; t < grad_tops(); ++t) {
    const std::vector<float> top = values(harness_->top(static_cast<int>(t)).data);
    sum = std::inner_product(top.begin(), top.end(), in.top_grads[t].begin(), sum, std::plus<>(),
                             [](float a, float b) { return double(a) * b; });
  }
  return sum;
}

void SpecRun::backward() { harness_->backward(wanted()); }

Outputs SpecRun::run(const Inputs& in) {
  load(in);
  harness_->reshape();
  harness_->forward();
  Outputs out;
  for (int i = 0; i < spec_.tops(); ++i) out.tops.push_back(values(harness_->top(i).data));
  if (!spec_.backward()) return out;

  for (Blob& param : harness_->layer().params)
    std::fill_n(param.grad.write_host(), param.count(), 0.0f);
  for (int i = 0; i < spec_.tops(); ++i) {
    harness_->top_grad(i, in.top_grads[static_cast<std::size_t>(i)]);
    if (arrangement_.blocked_grads) block(harness_->top(i).grad);
  }
  backward();
  const std::vector<bool> flags = wanted();
  for (std::size_t i = 0; i < flags.size(); ++i)
    out.bottom_grads.push_back(flags[i] ? values(harness_->bottom(static_cast<int>(i)).grad)
                                        : std::vector<float>());
  for (const Blob& param : harness_->layer().params) out.param_grads.push_back(values(param.grad));
  return out;
}

}  // namespace doppio::specs
