#include "compare.hpp"

#include <cmath>
#include <fstream>
#include <limits>

namespace doppio::conformance {
namespace {

/// |a - b| as a share of max(1, |b|); infinite if either is not a number.
double error_of(double a, double b) {
  if (a == b) return 0;
  const double error = std::abs(a - b) / std::max(1.0, std::abs(b));
  return std::isnan(error) ? std::numeric_limits<double>::infinity() : error;
}

}  // namespace

template <class Message>
Message read_message(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  require(in.good(), file, ": cannot open it");
  Message message;
  require(message.ParseFromIstream(&in), file, ": not a ", message.GetTypeName());
  return message;
}
template BlobProto read_message(const std::string&);
template BlobProtoVector read_message(const std::string&);
template NetParameter read_message(const std::string&);

Shape shape_of(const BlobProto& blob) {
  if (blob.has_num() || blob.has_channels() || blob.has_height() || blob.has_width())
    return {blob.num(), blob.channels(), blob.height(), blob.width()};
  return Shape(std::vector<Index>(blob.shape().dim().begin(), blob.shape().dim().end()));
}

void Comparison::note(const std::string& what, double error) {
  if (error <= worst_) return;
  worst_ = error;
  worst_what_ = what;
}

void Comparison::blob(const std::string& what, const Tensor& actual, const std::string& file) {
  blob(what, actual, read_message<BlobProto>(file));
}

void Comparison::blob(const std::string& what, const Tensor& actual, const BlobProto& expected) {
  if (actual.shape() != shape_of(expected))
    return differs(
        str(what, " has shape ", actual.shape().text(), ", expected ", shape_of(expected).text()));
  require(actual.count() == expected.data_size(), what, ": the expected blob has ",
          expected.data_size(), " values for its shape ", actual.shape().text());
  const float* values = actual.read_host();
  int wrong = 0, at = 0;
  double worst = 0;
  for (int i = 0; i < expected.data_size(); ++i) {
    const double error = error_of(values[i], expected.data(i));
    wrong += error > tolerance_;
    if (error > worst) worst = error, at = i;
  }
  note(what, worst);
  if (wrong == 0) return;
  differs(str(what, "[", at, "] is ", values[at], ", expected ", expected.data(at), " (", wrong,
              " of ", expected.data_size(), " differ, worst error ", worst, ")"));
}

void Comparison::weights(const std::string& what, const Net& net, const std::string& file) {
  const NetParameter expected = read_message<NetParameter>(file);
  for (const LayerParameter& layer : expected.layer()) {
    if (layer.blobs_size() == 0) continue;
    const NetLayer* found = nullptr;
    for (const NetLayer& candidate : net.layers())
      if (candidate.name == layer.name()) found = &candidate;
    if (!found || static_cast<int>(found->layer->params.size()) != layer.blobs_size()) {
      differs(
          str(what, ": layer '", layer.name(), "' should have ", layer.blobs_size(), " params"));
      continue;
    }
    for (int i = 0; i < layer.blobs_size(); ++i)
      blob(str(what, " ", layer.name(), " ", i),
           found->layer->params[static_cast<std::size_t>(i)].data, layer.blobs(i));
  }
}

void Comparison::scalar(const std::string& what, double actual, double expected) {
  const double error = error_of(actual, expected);
  note(what, error);
  if (error > tolerance_)
    differs(str(what, " is ", actual, ", expected ", expected, " (error ", error, ")"));
}

void Comparison::relative(const std::string& what, double actual, double expected) {
  scalar(what, expected == 0 ? 1 + actual : actual / expected, 1);
}

Result Comparison::result() const {
  constexpr std::size_t kShown = 4;
  if (differences_.empty())
    return {Result::Outcome::passed, str("worst error ", worst_, " in ", worst_what_)};
  std::string text;
  for (std::size_t i = 0; i < std::min(kShown, differences_.size()); ++i)
    text += (i ? "; " : "") + differences_[i];
  if (differences_.size() > kShown) text += str("; and ", differences_.size() - kShown, " more");
  return {Result::Outcome::failed, text};
}

}  // namespace doppio::conformance
