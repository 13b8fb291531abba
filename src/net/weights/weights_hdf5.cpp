#include "net/weights/weights_hdf5.hpp"

#include <glog/logging.h>

#include <algorithm>
#include <set>

#include "data/storage/hdf5.hpp"

namespace doppio {

namespace {

using Outcome = CopiedLayer::Outcome;

using Blobs = std::set<const Blob*>;

/// Returns the parameters of `net` that do not share another's memory.
Blobs owned_parameters(Net& net) {
  Blobs owned;
  for (const Parameter& p : net.parameters()) owned.insert(p.blob);
  return owned;
}

std::string dataset(const std::string& group, const std::string& layer, std::size_t j) {
  return group + "/" + layer + "/" + std::to_string(j);
}

/// Counts a layer's datasets, without those of layers with this prefix, such as "conv1/bn".
std::size_t count_blobs(const Hdf5Reader& in, const std::string& layer) {
  const std::vector<std::string> paths = in.datasets("data/" + layer);
  return static_cast<std::size_t>(
      std::count_if(paths.begin(), paths.end(),
                    [](const std::string& path) { return path.find('/') == path.npos; }));
}

/// Returns the shape of a dataset that is not read, even if it holds no numbers.
std::string shape_text(const Hdf5Reader& in, const std::string& path) try {
  return in.shape(path).text();
} catch (const Error&) {
  return "no numbers";
}

/// Copies the datasets of one layer. Only a shared parameter may have none.
CopiedLayer copy_layer(const Blobs& owned, NetLayer& layer, const Hdf5Reader& in) {
  CopiedLayer copied{layer.name, Outcome::fresh, {}};
  std::string stored, wanted;
  bool fits = true;
  for (std::size_t j = 0; j < layer.layer->params.size(); ++j) {
    const std::string path = dataset("data", layer.name, j);
    const Blob& param = layer.layer->params[j];
    const bool there = in.has(path);
    fits = fits && (there ? in.shape(path) == param.shape() : owned.count(&param) == 0);
    stored += (j ? ", " : "") + (there ? in.shape(path).text() : "nothing");
    wanted += (j ? ", " : "") + param.shape().text();
  }
  copied.detail = wanted;
  const std::size_t count = count_blobs(in, layer.name);
  if (count == 0) return copied;
  if (!fits || count > layer.layer->params.size())
    return {layer.name, Outcome::mismatched, "file: " + stored + "; net: " + wanted};
  for (std::size_t j = 0; j < layer.layer->params.size(); ++j)
    if (const std::string path = dataset("data", layer.name, j); in.has(path))
      in.read(path, layer.layer->params[j].data, Hdf5Reader::Unwritten::error);
  copied.outcome = Outcome::loaded;
  return copied;
}

}  // namespace

std::vector<CopiedLayer> copy_weights_hdf5(Net& net, const std::string& file) {
  const auto in = open_hdf5(file);
  std::vector<CopiedLayer> copied;
  const Blobs owned = owned_parameters(net);
  std::set<std::string> names;
  for (NetLayer& layer : net.layers()) {
    names.insert(layer.name);
    if (!layer.layer->params.empty()) copied.push_back(copy_layer(owned, layer, *in));
  }
  for (const std::string& path : in->datasets("data")) {
    const std::string layer = path.substr(0, path.rfind('/'));
    if (!names.insert(layer).second) continue;
    copied.push_back({layer, Outcome::skipped, shape_text(*in, "data/" + path)});
    LOG(INFO) << "Ignoring source layer " << layer;
  }
  return copied;
}

std::string save_weights_hdf5(Net& net, const std::string& file, bool with_grads) {
  const auto out = create_hdf5(file);
  const Blobs owned = owned_parameters(net);
  for (const NetLayer& layer : net.layers()) {
    out->make_group("data/" + layer.name);
    for (std::size_t j = 0; j < layer.layer->params.size(); ++j) {
      const Blob& param = layer.layer->params[j];
      if (owned.count(&param) == 0) continue;
      out->write(dataset("data", layer.name, j), param.data);
      if (with_grads) out->write(dataset("diff", layer.name, j), param.grad);
    }
  }
  return out->close();
}

}  // namespace doppio
