#include "tools/training_folder.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "data/storage/lmdb.hpp"
#include "doppio.pb.h"
#include "doppio/error.hpp"

namespace doppio {

namespace {

constexpr const char* kNet = R"(name: "noise"
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { mirror: true crop_size: 6 scale: 0.01 }
  data_param { batch_size: 5 backend: LMDB source: "FOLDER/train_lmdb" }
}
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { crop_size: 6 scale: 0.01 }
  data_param { batch_size: 4 backend: LMDB source: "FOLDER/test_lmdb" }
}
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } }
}
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "drop1" type: "Dropout" bottom: "conv1" top: "conv1" }
layer { name: "ip" type: "InnerProduct" bottom: "conv1" top: "ip"
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } }
}
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy"
  include { phase: TEST }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
)";

constexpr const char* kSolver = R"(net: "FOLDER/net.prototxt"
test_iter: 2 test_interval: 5
base_lr: 0.05 lr_policy: "multistep" gamma: 0.5 stepvalue: 4 stepvalue: 12
momentum: 0.9 weight_decay: 0.001
display: 2 average_loss: 3 max_iter: 20
snapshot_prefix: "FOLDER/noise"
random_seed: 7
)";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  EXPECT_TRUE(contains(text, from)) << from;
  for (std::size_t at = 0; (at = text.find(from, at)) != text.npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

}  // namespace

TrainingFolder::TrainingFolder() {
  net_ = replaced(kNet, "FOLDER/", folder_ / "");
  write("net.prototxt", net_);
  write("solver.prototxt", replaced(kSolver, "FOLDER/", folder_ / ""));
  std::vector<int> labels;
  for (int i = 0; i < 13; ++i) labels.push_back(i % 4);
  write_database(folder_ / "train_lmdb", labels, 1);
  write_database(folder_ / "test_lmdb", labels, 2);
}

std::string TrainingFolder::write_net(const std::string& from, const std::string& to) const {
  return write("net.prototxt", replaced(net_, from, to));
}

std::vector<std::string> TrainingFolder::train(const std::vector<std::string>& more) const {
  std::vector<std::string> arguments = {"train", "--solver=" + folder_ / "solver.prototxt"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

std::vector<std::string> TrainingFolder::files_with(const std::string& part) const {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / ""))
    if (contains(entry.path().filename(), part)) names.push_back(entry.path().filename());
  return names;
}

void write_database(const std::string& path, const std::vector<int>& labels, unsigned seed) {
  std::mt19937 random(seed);
  LmdbWriter writer(path);
  int key = 0;
  for (const int label : labels) {
    Datum datum;
    datum.set_channels(3);
    datum.set_height(8);
    datum.set_width(8);
    for (int i = 0; i < 3 * 8 * 8; ++i)
      datum.mutable_data()->push_back(static_cast<char>(random() % 256));
    datum.set_label(label);
    writer.put(str(1000 + key++), datum.SerializeAsString());
  }
  writer.finish();
}

}  // namespace doppio
