#include "tools/project/like_net.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "core/printable.hpp"
#include "doppio/extend/registry.hpp"
#include "io/input_file.hpp"
#include "net/passes/passes.hpp"
#include "net/weights/weights_io.hpp"
#include "solver/read_solver.hpp"

namespace doppio {

namespace fs = std::filesystem;

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
  throw Error(str("has no Data layer for ", test ? "testing" : "training", " only"),
              {like.train_val.file, 0, 0});
}

int batch_of(const LayerParameter& data) {
  return static_cast<int>(data.data_param().batch_size());
}

/// Returns the indices of the layers with one output per class: the nearest Convolution or
/// InnerProduct before each loss.
std::set<int> classifiers(const NetParameter& net) {
  std::set<int> found;
  for (int i = 0; i < net.layer_size(); ++i) {
    if (net.layer(i).type() != "SoftmaxWithLoss" || net.layer(i).bottom_size() == 0) continue;
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

std::string models_folder() {
  const fs::path program = fs::read_symlink("/proc/self/exe");
  const fs::path folder = program.parent_path().parent_path() / "share" / "doppio" / "models";
  require(fs::is_directory(folder), "the nets that come with Doppio are not installed in ",
          folder.string(), "; give --like the path of a folder such as models/alexnet");
  return folder.string();
}

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(models_folder()))
    if (fs::exists(entry.path() / "train_val.prototxt"))
      names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
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
  return like;
}

std::string like_of_weights(const std::string& weights) {
  NetParameter net;
  require(parse_binary_file(weights, net), printable(weights), ": is not a file of weights");
  for (const std::string& name : model_names()) {
    const std::string file = (fs::path(models_folder()) / name / "train_val.prototxt").string();
    if (read_prototxt(file).net.name() == net.name()) return name;
  }
  throw Error(str(printable(weights), ": are weights of a net '", printable(net.name()),
                  "', which is none of those that `doppio models` lists; give --like"));
}

SourcedNet adapted_net(const LikeNet& like, const Target& target) {
  const Schedule schedule = schedule_for(like, target);
  SourcedNet made = like.train_val;
  made.net.set_name(target.name);
  for (const int i : classifiers(made.net)) adapt_classifier(*made.net.mutable_layer(i), target);
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
  const SolverParameter& from = like.solver;
  SolverParameter solver;
  solver.set_net(target.folder + "train_val.prototxt");
  if (!target.weights.empty()) solver.add_weights(target.weights);
  solver.add_test_iter(schedule.tests);
  solver.set_test_interval(std::max(1, schedule.iterations / 20));
  if (from.has_type()) solver.set_type(from.type());
  solver.set_base_lr(static_cast<float>(schedule.rate));
  solver.set_lr_policy("poly");
  solver.set_power(1);
  if (from.warmup_iter() > 0)
    solver.set_warmup_iter(
        std::min<decltype(from.warmup_iter())>(from.warmup_iter(), schedule.iterations / 20));
  solver.set_momentum(from.momentum());
  solver.set_weight_decay(from.weight_decay());
  if (schedule.iter_size > 1) solver.set_iter_size(schedule.iter_size);
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
