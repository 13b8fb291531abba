#include "tools/project/like_net.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "core/printable.hpp"
#include "io/input_file.hpp"
#include "net/passes/passes.hpp"
#include "net/weights/weights_io.hpp"
#include "solver/read_solver.hpp"
#include "tools/model_folder.hpp"

namespace doppio {

namespace fs = std::filesystem;
namespace pb = google::protobuf;

namespace {

bool is_data(const LayerParameter& layer) {
  return layer.bottom_size() == 0 && layer.type() == "Data";
}

bool tests(const LayerParameter& data) {
  NetState state;
  state.set_phase(TEST);
  SourcedNet net;
  *net.net.add_layer() = data;
  return filter(std::move(net), state).net.layer_size() > 0;
}

/// Returns the Data layer for testing (or training).
const LayerParameter& data_of(const LikeNet& like, bool test) {
  for (const LayerParameter& layer : like.train_val.net.layer())
    if (is_data(layer) && tests(layer) == test) return layer;
  throw Error(str("has no layer of type Data for ", test ? "testing" : "training",
                  " only (include { phase: ", test ? "TEST" : "TRAIN",
                  " }), whose database could be "
                  "replaced"),
              {like.train_val.file, 0, 0});
}

int batch_of(const LayerParameter& data) {
  return static_cast<int>(data.data_param().batch_size());
}

bool compares_classes(const std::string& type) {
  for (const char* loss :
       {"SoftmaxWithLoss", "InfogainLoss", "MultinomialLogisticLoss", "HingeLoss"})
    if (type == loss) return true;
  return false;
}

/// Returns the indices of the layers with one output per class: the nearest Convolution or
/// InnerProduct before each loss.
std::set<int> classifiers(const NetParameter& net) {
  std::set<int> found;
  for (int i = 0; i < net.layer_size(); ++i) {
    if (!compares_classes(net.layer(i).type()) || net.layer(i).bottom_size() == 0) continue;
    std::string blob = net.layer(i).bottom(0);
    for (int k = i - 1; k >= 0; --k) {
      const LayerParameter& layer = net.layer(k);
      if (layer.top_size() == 0 || layer.top(0) != blob) continue;
      if (layer.type() == "InnerProduct" || layer.type() == "Convolution") {
        found.insert(k);
        break;
      }
      if (layer.bottom_size() == 0) break;
      blob = layer.bottom(0);
    }
  }
  return found;
}

/// Gives layer `classifier` one output per class.
void adapt_classifier(LayerParameter& classifier, const Target& target) {
  const auto classes = static_cast<std::uint32_t>(target.classes);
  if (classifier.type() == "InnerProduct")
    classifier.mutable_inner_product_param()->set_num_output(classes);
  else
    classifier.mutable_convolution_param()->set_num_output(classes);
  if (target.weights.empty()) return;
  classifier.set_name(classifier.name() + "_" + target.name);
  constexpr float kFaster = 10;
  while (classifier.param_size() < 2) classifier.add_param();
  for (ParamSpec& param : *classifier.mutable_param()) param.set_lr_mult(param.lr_mult() * kFaster);
}

/// Rounds to three digits, for readers of the prototxt.
double rounded(double rate) {
  if (!(rate > 0)) return rate;
  const double unit = std::pow(10, std::floor(std::log10(rate)) - 2);
  return std::round(rate / unit) * unit;
}

/// The size of the batches and the length of the training.
struct Schedule {
  int batch, iter_size;   // training
  int test_batch, tests;  // testing
  int iterations;
  double rate;
};

/// Returns the batch size, up to `most`, that wastes least of the last batch when testing.
int test_batch(Index images, int most) {
  if (images <= most) return static_cast<int>(images);
  int best = most;
  const auto waste = [&](int batch) { return (images + batch - 1) / batch * batch - images; };
  for (int batch = most; batch > most / 2; --batch)
    if (waste(batch) < waste(best)) best = batch;
  return best;
}

Schedule schedule_for(const LikeNet& like, const Target& target) {
  const bool tunes = !target.weights.empty();
  const SolverParameter& from = like.solver;
  Schedule s{};
  const int like_batch = batch_of(data_of(like, false));
  const Index quarter = std::max(std::min<Index>(target.train, 4), target.train / 4);
  s.batch = static_cast<int>(std::min<Index>(like_batch, quarter));
  s.iter_size = static_cast<int>(std::clamp<Index>(quarter / s.batch, 1, from.iter_size()));
  const double images = static_cast<double>(s.batch) * s.iter_size;
  const double like_images = static_cast<double>(like_batch) * from.iter_size();
  s.rate = rounded(static_cast<double>(from.base_lr()) * std::sqrt(images / like_images) *
                   (tunes ? 0.1 : 1));
  const double epochs = target.epochs > 0 ? target.epochs : tunes ? 10 : 30;
  double iterations = std::ceil(epochs * static_cast<double>(target.train) / images);
  if (target.epochs <= 0) {
    iterations = std::max(iterations, tunes ? 300.0 : 600.0);
    iterations = std::min(iterations, static_cast<double>(from.max_iter()));
  }
  s.iterations = static_cast<int>(std::clamp(iterations, 1.0, 1e9));
  s.test_batch = test_batch(target.val, batch_of(data_of(like, true)));
  s.tests = static_cast<int>((target.val + s.test_batch - 1) / s.test_batch);
  return s;
}

}  // namespace

Index LikeNet::stored_side(const Shape& common) const {
  if (crop == 0) return input[1];
  const bool square = common.axes() == 2 && common[0] == common[1];
  if (square && common[0] > crop && common[0] <= 2 * crop) return common[0];
  constexpr Index kStep = 8;
  return (crop * 256 / 227 + kStep - 1) / kStep * kStep;
}

LikeNet read_like(const std::string& name) {
  fs::path folder = name;
  if (name.find('/') == name.npos) {
    const std::vector<std::string> names = model_names();
    require(std::find(names.begin(), names.end(), name) != names.end(), "--like=", printable(name),
            ": there is no such net", did_you_mean(name, names),
            "; `doppio models` lists them, and a path with a slash names a folder of your own");
    folder = fs::path(models_folder()) / name;
  }
  LikeNet like;
  like.name = (folder.has_filename() ? folder : folder.parent_path()).filename().string();
  like.shown = printable(name.find('/') == name.npos ? "models/" + name : name);
  like.train_val = read_prototxt((folder / "train_val.prototxt").string());
  like.solver = read_solver((folder / "solver.prototxt").string()).param;
  const SourcedNet deploy = read_prototxt((folder / "deploy.prototxt").string());
  for (const LayerParameter& layer : deploy.net.layer())
    if (layer.type() == "Input" && layer.input_param().shape_size() > 0) {
      const BlobShape& shape = layer.input_param().shape(0);
      if (shape.dim_size() == 4) like.input = {shape.dim(1), shape.dim(2), shape.dim(3)};
    }
  require(like.input.axes() == 3, (folder / "deploy.prototxt").string(),
          ": has no Input layer for N x C x H x W");
  like.crop = static_cast<Index>(data_of(like, true).transform_param().crop_size());
  for (const bool test : {false, true})
    if (batch_of(data_of(like, test)) < 1)
      throw Error(str("the Data layer for ", test ? "testing" : "training", " has no batch_size"),
                  {like.train_val.file, 0, 0});
  if (like.solver.max_iter() < 1 || like.solver.iter_size() < 1 || !(like.solver.base_lr() > 0))
    throw Error("max_iter, iter_size and base_lr must be positive",
                {(folder / "solver.prototxt").string(), 0, 0});
  return like;
}

std::string like_of_weights(const std::string& weights) {
  NetParameter net;
  require(parse_binary_file(weights, net), printable(weights),
          ": is not a .caffemodel, so the net that it belongs to is not known; give --like");
  std::set<std::string> stored;
  for (const LayerParameter& layer : net.layer())
    if (layer.blobs_size() > 0) stored.insert(layer.name());
  for (const V1LayerParameter& layer : net.layers())
    if (layer.blobs_size() > 0) stored.insert(layer.name());
  std::vector<std::string> fitting;
  for (const std::string& name : model_names()) {
    const fs::path file = fs::path(models_folder()) / name / "train_val.prototxt";
    const NetParameter model = read_prototxt(file.string()).net;
    int learned = 0, known = 0;
    for (const LayerParameter& layer : model.layer()) {
      if (!layer.has_convolution_param() && !layer.has_inner_product_param()) continue;
      ++learned;
      known += stored.contains(layer.name());
    }
    if (known < learned) continue;
    if (model.name() == net.name()) return name;
    fitting.push_back(name);
  }
  require(!fitting.empty(), printable(weights), ": are weights of a net '", printable(net.name()),
          "', whose layers are those of none that `doppio models` lists; give --like");
  return fitting.front();
}

SourcedNet adapted_net(const LikeNet& like, const Target& target) {
  const Schedule schedule = schedule_for(like, target);
  SourcedNet made = like.train_val;
  made.net.set_name(target.name);
  const std::set<int> found = classifiers(made.net);
  if (found.empty())
    throw Error(
        "has no loss that compares classes (SoftmaxWithLoss or the like) after a layer whose "
        "outputs could be adapted to the classes",
        {like.train_val.file, 0, 0});
  for (const int i : found) adapt_classifier(*made.net.mutable_layer(i), target);
  for (LayerParameter& layer : *made.net.mutable_layer()) {
    if (layer.type() == "Accuracy" && layer.accuracy_param().top_k() > 1)
      layer.mutable_accuracy_param()->set_top_k(
          std::min(layer.accuracy_param().top_k(), static_cast<std::uint32_t>(target.classes)));
    if (!is_data(layer)) continue;
    const bool test = tests(layer);
    DataParameter& data = *layer.mutable_data_param();
    data.clear_source();
    data.add_source(target.folder + (test ? "val_lmdb" : "train_lmdb"));
    data.set_backend(DataParameter::LMDB);
    data.set_batch_size(static_cast<std::uint32_t>(test ? schedule.test_batch : schedule.batch));
    TransformationParameter& transform = *layer.mutable_transform_param();
    if (transform.has_mean_file()) transform.set_mean_file(target.folder + "mean.binaryproto");
    if (transform.has_pca_file()) transform.set_pca_file(target.folder + "pca.binaryproto");
  }
  return made;
}

SolverParameter adapted_solver(const LikeNet& like, const Target& target) {
  const Schedule schedule = schedule_for(like, target);
  SolverParameter solver = like.solver;
  const pb::Descriptor& fields = *solver.GetDescriptor();
  for (int i = 0; i < fields.field_count(); ++i) {
    const std::string& name = fields.field(i)->name();
    const bool of_data = name.find("net") != name.npos || name.starts_with("test_") ||
                         name.starts_with("snapshot") || name.starts_with("step") ||
                         name.starts_with("plateau") || name == "gamma" || name == "weights" ||
                         name == "solver_mode" || name == "device_id";
    if (of_data && name != "test_initialization" && name != "test_state")
      solver.GetReflection()->ClearField(&solver, fields.field(i));
  }
  solver.set_net(target.folder + "train_val.prototxt");
  if (!target.weights.empty()) solver.add_weights(target.weights);
  solver.add_test_iter(schedule.tests);
  solver.set_test_interval(std::max(1, schedule.iterations / 20));
  solver.set_base_lr(static_cast<float>(schedule.rate));
  solver.set_lr_policy("poly");
  solver.set_power(1);
  if (solver.warmup_iter() > 0)
    solver.set_warmup_iter(
        std::min<decltype(solver.warmup_iter())>(solver.warmup_iter(), schedule.iterations / 20));
  solver.set_iter_size(schedule.iter_size);
  if (schedule.iter_size == 1) solver.clear_iter_size();
  solver.set_max_iter(schedule.iterations);
  solver.set_display(std::max(1, schedule.iterations / 100));
  solver.set_average_loss(std::max(1, schedule.iterations / 100));
  solver.set_snapshot(std::max(1, schedule.iterations / 4));
  solver.set_snapshot_prefix(target.folder + target.name);
  solver.set_random_seed(static_cast<std::int64_t>(target.seed));
  return solver;
}

double adapted_epochs(const LikeNet& like, const Target& target) {
  const Schedule s = schedule_for(like, target);
  return static_cast<double>(s.iterations) * s.batch * s.iter_size /
         static_cast<double>(target.train);
}

}  // namespace doppio
