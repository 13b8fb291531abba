#include "tools/image_net.hpp"

#include <algorithm>
#include <exception>

#include "io/comma_list.hpp"
#include "tools/ensemble.hpp"
#include "tools/preparation.hpp"
#include "tools/setup.hpp"

namespace doppio {

namespace {

constexpr Index kBatch = 32;  // items of a forward pass

/// Returns the error of an image that cannot be read. Rethrows what concerns all images.
std::optional<Error> error_of(const std::exception_ptr& failure) {
  if (!failure) return std::nullopt;
  try {
    std::rethrow_exception(failure);
  } catch (const OutOfMemory&) {
    throw;
  } catch (const Error& e) {
    return e;
  }
}

}  // namespace

ImageNet::ImageNet(Context& ctx, const Member& files, Overrides& overrides,
                   const std::vector<std::string>& keep, const std::shared_ptr<Arena>& arena)
    : model_(files.model) {
  const NetState state = state_of_flags(TEST);
  SourcedNet source = read_model(overrides, state, files.model);
  const ImagePreparation preparation = preparation_for(source);
  views_ = preparation.views;
  net_ = std::make_unique<Net>(ctx, std::move(source), state);
  require(net_->inputs().size() == 1, files.model,
          ": expected one Input layer with one top, for the image; use the deploy.prototxt of "
          "the model, or make one with `doppio deploy`");
  load_weights(*net_, comma_list(files.weights));
  Blob& input = net_->blob(net_->inputs()[0]);
  const std::vector<Index>& dims = input.shape().dims();
  require(dims.size() == 4, files.model, ": the input is ", input.shape().text(),
          "; expected N x C x H x W");
  input_ = std::make_unique<ImageInput>(preparation, Shape{dims[1], dims[2], dims[3]});
  input.reshape(input.shape().with(0, views_));
  net_->reshape();
  if (keep.empty()) find_scores();
  net_->save_memory(Passes::forward, keep.empty() ? std::vector{scores_} : keep, arena);
}

ImageNet::~ImageNet() = default;
ImageNet::ImageNet(ImageNet&&) noexcept = default;

std::size_t ImageNet::classes() const {
  const Shape& shape = net_->blob(scores_).shape();
  return static_cast<std::size_t>(shape.count_from(1));
}

std::size_t ImageNet::batch() const {
  return static_cast<std::size_t>(std::max(Index{1}, kBatch / views_));
}

std::vector<std::optional<Error>> ImageNet::run(std::span<const ImageFile> images) {
  const auto count = static_cast<Index>(images.size());
  Blob& input = net_->blob(net_->inputs()[0]);
  if (input.shape()[0] != count * views_) {
    input.reshape(input.shape().with(0, count * views_));
    net_->reshape();
  }
  const Index size = input.shape().count_from(1) * views_;
  float* const values = input.data.write_host();
  std::vector<std::exception_ptr> failures(images.size());
#pragma omp parallel for schedule(dynamic)
  for (Index i = 0; i < count; ++i) {
    const auto k = static_cast<std::size_t>(i);
    try {
      input_->read(images[k].path, values + i * size);
    } catch (...) {
      failures[k] = std::current_exception();
      std::fill_n(values + i * size, size, 0.0f);
    }
  }
  std::vector<std::optional<Error>> errors;
  for (const std::exception_ptr& failure : failures) errors.push_back(error_of(failure));
  net_->forward();
  return errors;
}

void ImageNet::find_scores() {
  for (const NetLayer& layer : net_->layers())
    if (layer.type == "Softmax") scores_ = layer.top_names[0];
  probabilities_ = !scores_.empty();
  if (probabilities_) return;
  require(net_->outputs().size() == 1, model_, ": has ", net_->outputs().size(),
          " outputs and no Softmax layer, so it is not clear which one scores the classes");
  scores_ = net_->outputs()[0];
}

}  // namespace doppio
