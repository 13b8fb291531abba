#include <memory>

#include "data/storage/hdf5.hpp"
#include "doppio.pb.h"
#include "doppio/extend/registry.hpp"
#include "io/atomic_file.hpp"

namespace doppio {
namespace {

/// Writes its two bottoms as the datasets `data` and `label` of a new HDF5 file, one batch after
/// the other.
///
/// The file gets its name, replacing an older one, when the first batch is written, and grows from
/// then on: the features of all batches may not fit in memory.
///
/// Bottoms: data, N x ...; labels, N x .... In the file both have 4 axes, as Caffe writes them.
/// Throws: Error if the numbers of items differ or the file cannot be written. Source: matches
/// Caffe, which fails at the second batch.
class Hdf5Output final : public Layer {
 public:
  explicit Hdf5Output(const LayerParameter& p) : file_name_(p.hdf5_output_param().file_name()) {
    require_field(!file_name_.empty(), "hdf5_output_param.file_name", "file_name is missing");
  }

  void reshape(Context&, Bottoms bottom, Tops) override {
    const Shape &data = bottom[0]->shape(), &labels = bottom[1]->shape();
    require(data.axes() > 0 && labels.axes() > 0 && data[0] == labels[0], "data of ", data.text(),
            " needs as many labels as items, not ", labels.text());
  }

  void forward(Context&, Bottoms bottom, Tops) override {
    const auto append = [&](Hdf5Appender& file) {
      file.append("data", with_four_axes(bottom[0]->data));
      file.append("label", with_four_axes(bottom[1]->data));
    };
    if (file_) return append(*file_);
    std::unique_ptr<Hdf5Appender> file;
    write_named_file_atomically(file_name_, [&](const std::string& temporary) {
      file = append_hdf5(temporary, file_name_);
      append(*file);
    });
    file_ = std::move(file);
  }

  void backward(Context&, Tops, std::span<const bool>, Bottoms) override {}

 private:
  static Tensor with_four_axes(const Tensor& tensor) {
    std::vector<Index> dims = tensor.shape().dims();
    if (dims.size() < 4) dims.resize(4, 1);
    tensor.read_host();  // updates the memory that the view shares
    Tensor view;
    view.share(tensor);
    view.reshape(Shape(dims));
    return view;
  }

  std::string file_name_;
  std::unique_ptr<Hdf5Appender> file_;
};
DOPPIO_REGISTER_LAYER_ON(Device::any, "HDF5Output", Hdf5Output, .bottoms = exactly(2),
                         .tops = exactly(0), .no_grad_bottoms = 3, .backward_reads_bottom = false,
                         .backward_reads_top = false);

}  // namespace
}  // namespace doppio
