// Reads and writes weights: .caffemodel files of every generation.
#include "net/weights/weights_io.hpp"

#include <glog/logging.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>

#include <limits>

#include "core/with_context.hpp"
#include "data/storage/hdf5.hpp"
#include "io/file_kind.hpp"
#include "io/input_file.hpp"
#include "io/regular_file.hpp"
#include "net/format/blob_io.hpp"
#include "net/format/upgrade.hpp"
#include "net/format/wire.hpp"
#include "net/weights/blob_file.hpp"
#include "net/weights/checked_file.hpp"
#include "net/weights/weights_hdf5.hpp"

namespace doppio {

namespace {

std::string shapes(const LayerParameter& stored) {
  std::string s;
  for (const BlobProto& b : stored.blobs()) s += (s.empty() ? "" : ", ") + stored_shape(b).text();
  return s.empty() ? "no parameters" : s;
}

std::string shapes(const Layer& layer) {
  std::string s;
  for (const Blob& b : layer.params) s += (s.empty() ? "" : ", ") + b.shape().text();
  return s.empty() ? "no parameters" : s;
}

bool all_fit(const LayerParameter& stored, const Layer& layer) {
  if (stored.blobs_size() != static_cast<int>(layer.params.size())) return false;
  for (int j = 0; j < stored.blobs_size(); ++j)
    if (!fits(stored.blobs(j), layer.params[static_cast<std::size_t>(j)].shape())) return false;
  return true;
}

/// Returns a hint such as "; it is a JPEG image" for a file that is not a net.
std::string foreign_kind(const std::string& file) {
  const std::string hint = kind_hint(read_head(file, kHeadBytes));
  return hint.find("weights") == std::string::npos ? hint : "";
}

/// For with_context(): prefixes an Error without a location by `what` and sets its file.
auto file_context(const std::string& file, const std::string& what) {
  return [&file, what](const Error& e) -> std::optional<Error> {
    if (!e.where().file.empty()) return std::nullopt;
    return Error(what + e.message(), {file, 0, 0});
  };
}

/// Fills the layer's params. `read(blob, tensor)` reads the values of one blob.
template <class Read>
void copy_blobs(const LayerParameter& stored, Layer& layer, const std::string& file, Read read) {
  const auto blob_context = [&](int j) {
    return [&, j](const Error& e) {
      return Error(str("layer '", stored.name(), "', blob ", j, " ", e.message()), {file, 0, 0});
    };
  };
  for (int j = 0; j < stored.blobs_size(); ++j)
    with_context(blob_context(j),
                 [&] { read(stored.blobs(j), layer.params[static_cast<std::size_t>(j)].data); });
}

}  // namespace

bool parse_binary_file(const std::string& file, google::protobuf::Message& out) {
  check_file(file);
  const RegularFile in(file);
  google::protobuf::io::FileInputStream stream(in.descriptor());
  google::protobuf::io::CodedInputStream coded(&stream);
  coded.SetTotalBytesLimit(std::numeric_limits<int>::max());
  // A fork's file may lack required fields in messages that are not used here.
  if (!out.ParsePartialFromCodedStream(&coded) || !coded.ConsumedEntireMessage()) return false;
  out.GetReflection()->MutableUnknownFields(&out)->DeleteByNumber(kChecksumField);
  return true;
}

std::vector<CopiedLayer> Net::copy_weights(const std::string& file) {
  if (!is_hdf5(file)) check_file(file);  // an .h5 file has a checksum for each dataset
  return copy_checked_weights(*this, file);
}

std::vector<CopiedLayer> copy_checked_weights(Net& net, const std::string& file) {
  if (is_hdf5(file)) return copy_weights_hdf5(net, file);
  using Outcome = CopiedLayer::Outcome;
  BlobFile in(file);
  SourcedNet source;
  source.file = file;
  const bool parsed = in.parse(source.net);
  const bool empty = source.net.layer_size() + source.net.layers_size() == 0;
  const std::string foreign = empty ? foreign_kind(file) : "";
  require(parsed && foreign.empty(), file,
          ": not a .caffemodel, or cut short; copy or train it again", foreign);
  NetParameter stored;
  with_context(file_context(file, ""), [&] { stored = std::move(upgrade(std::move(source)).net); });
  std::vector<NetLayer>& layers = net.layers();
  std::vector<CopiedLayer> copied;
  std::map<std::string, NetLayer*> named;
  for (NetLayer& l : layers) named.emplace(l.name, &l);
  std::map<std::string, bool> seen;
  const auto copy = [&](const LayerParameter& from) {
    const auto found = named.find(from.name());
    if (found == named.end()) {
      if (from.blobs_size() > 0) copied.push_back({from.name(), Outcome::skipped, shapes(from)});
      LOG(INFO) << "Ignoring source layer " << from.name();
      return;
    }
    Layer& to = *found->second->layer;
    if (from.blobs_size() == 0 && to.params.empty()) return;
    seen[from.name()] = true;
    if (!all_fit(from, to)) {
      copied.push_back(
          {from.name(), Outcome::mismatched, "file: " + shapes(from) + "; net: " + shapes(to)});
      return;
    }
    copy_blobs(from, to, file, [&](const BlobProto& b, Tensor& t) { in.read(b, t); });
    copied.push_back({from.name(), Outcome::loaded, shapes(from)});
  };
  for (const LayerParameter& from : stored.layer())
    with_context(file_context(file, str("layer '", from.name(), "': ")), [&] { copy(from); });
  for (const NetLayer& l : layers)
    if (!l.layer->params.empty() && !seen[l.name])
      copied.push_back({l.name, Outcome::fresh, shapes(*l.layer)});
  return copied;
}

void require_no_mismatch(const std::vector<CopiedLayer>& copied, const std::string& file) {
  std::string list;
  for (const CopiedLayer& c : copied)
    if (c.outcome == CopiedLayer::Outcome::mismatched)
      list += str("\n    layer '", c.name, "': ", c.detail);
  require(list.empty(), file,
          ": weights do not fit the net; to train such a layer anew, give it another ",
          "name in the prototxt, otherwise make the shapes equal", list);
}

void load_blobs(const LayerParameter& stored, Layer& layer, const std::string& file) {
  require_field(all_fit(stored, layer), "blobs", "its blobs (", shapes(stored),
                ") do not fit its parameters (", shapes(layer), ")");
  copy_blobs(stored, layer, file, read_blob);
}

void Net::share_weights(Net& other) {
  shares_weights_ = true;
  for (NetLayer& to : layers_)
    for (NetLayer& from : other.layers_) {
      if (from.name != to.name || from.layer->params.empty()) continue;
      require(from.layer->params.size() == to.layer->params.size(), "layer '", to.name,
              "' has other parameters in the test net than in the train net: ", shapes(*to.layer),
              " and ", shapes(*from.layer));
      for (std::size_t j = 0; j < to.layer->params.size(); ++j) {
        require(from.layer->params[j].shape() == to.layer->params[j].shape(), "layer '", to.name,
                "' has other shapes in the test net than in the train net: ", shapes(*to.layer),
                " and ", shapes(*from.layer));
        to.layer->params[j].data.share(from.layer->params[j].data);
      }
    }
}

void Net::to_proto(NetParameter& out, bool with_grads) const {
  out = source_->net;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    LayerParameter& layer = *out.mutable_layer(static_cast<int>(i));
    layer.clear_blobs();
    for (const Blob& p : layers_[i].layer->params)
      write_blob(p.data, with_grads ? &p.grad : nullptr, *layer.add_blobs());
  }
}

std::string Net::save(const std::string& file, bool with_grads) {
  if (file.ends_with(".h5")) return save_weights_hdf5(*this, file, with_grads);
  NetParameter net = source_->net;
  net.clear_layer();
  std::vector<std::string> layers;     // without blobs, which are too large to copy
  std::vector<std::uint64_t> lengths;  // including blobs
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    LayerParameter layer = source_->net.layer(static_cast<int>(i));
    layer.clear_blobs();
    layers.push_back(layer.SerializePartialAsString());
    lengths.push_back(layers.back().size());
    for (const Blob& p : layers_[i].layer->params)
      lengths.back() += blob_field_bytes(LayerParameter::kBlobsFieldNumber, p.data,
                                         with_grads ? &p.grad : nullptr);
    total += lengths.back();
  }
  require_protobuf_size(file, total);
  return write_checked_file(file, [&](std::ostream& out) {
    out << net.SerializePartialAsString();
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      out << wire::head(NetParameter::kLayerFieldNumber, lengths[i]) << layers[i];
      for (const Blob& p : layers_[i].layer->params)
        write_blob_field(LayerParameter::kBlobsFieldNumber, p.data, with_grads ? &p.grad : nullptr,
                         out);
    }
  });
}

void require_protobuf_size(const std::string& file, std::uint64_t bytes) {
  require(bytes + kChecksumBytes < std::numeric_limits<int>::max(), file,
          " would exceed the 2 GB that protobuf can hold");
}

void write_message(const std::string& file, const google::protobuf::Message& message) {
  require_protobuf_size(file, message.ByteSizeLong());
  write_checked_file(file, [&](std::ostream& out) { message.SerializePartialToOstream(&out); });
}

}  // namespace doppio
