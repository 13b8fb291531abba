#include <algorithm>
#include <chrono>

#include "data/shuffle.hpp"
#include "data/storage/hdf5.hpp"
#include "doppio.pb.h"
#include "doppio/extend/epoch.hpp"
#include "doppio/extend/fingerprint.hpp"
#include "doppio/extend/registry.hpp"
#include "io/files_sample.hpp"
#include "io/input_file.hpp"
#include "io/sha256.hpp"
#include "layers/support/sizes.hpp"
#include "math/philox.hpp"

namespace doppio {
namespace {

/// Rows of HDF5 files: each top shows batch_size rows of the dataset with its name.
///
/// `source` is a text file that lists the .h5 files, one per line (names may contain blanks),
/// relative to the working directory.
/// With `shuffle`, every epoch has its own order of files and of rows within each, which depends on
/// ctx.seed and the layer's name. One file at a time is in memory.
/// Source: matches Caffe except for the random numbers.
class Hdf5Data final : public Layer, public EpochSource, public FingerprintedSource {
 public:
  explicit Hdf5Data(const LayerParameter& p)
      : stream_(stream_of(p.name())),
        param_(p.hdf5_data_param()),
        batch_size_(param_.batch_size()),
        rows_shown_(batch_size_),
        datasets_(p.top().begin(), p.top().end()) {
    require_field(!param_.source().empty(), "hdf5_data_param.source", "source is missing");
    require_field(batch_size_ > 0, "hdf5_data_param.batch_size", "batch_size must be at least 1");
    require_field(!p.has_transform_param(), "transform_param",
                  "HDF5Data does not transform its data; remove transform_param");
  }

  void reshape(Context&, Bottoms, Tops top) override {
    if (files_.empty()) scan();
    for (std::size_t t = 0; t < top.size(); ++t) {
      std::vector<Index> dims = row_shapes_[t].dims();
      dims[0] = rows_shown_;
      top[t]->reshape(checked_shape(std::move(dims), "hdf5_data_param.batch_size"));
    }
  }

  void forward(Context& ctx, Bottoms, Tops top) override {
    const auto start = std::chrono::steady_clock::now();
    std::vector<float*> out;
    for (Blob* t : top) out.push_back(t->data.write_host());
    for (Index i = 0; i < rows_shown_; ++i, ++records_) {
      const Index row = find_row(ctx.seed);
      for (std::size_t t = 0; t < top.size(); ++t) {
        const Index n = row_shapes_[t].count();
        std::copy_n(loaded_.values[t].read_host() + row * n, n, out[t] + i * n);
      }
    }
    records_ += static_cast<std::uint64_t>(batch_size_ - rows_shown_);
    waited_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  Cursor cursor() const override { return {records_}; }
  void seek(const Cursor& cursor) override { records_ = cursor.records; }
  double input_wait_seconds() const override { return waited_; }
  std::optional<Epoch> epoch(bool) override {
    if (epoch_rows_ == 0) return std::nullopt;
    return Epoch{static_cast<Index>(epoch_rows_), batch_size_};
  }
  void show_first(Index records) override { rows_shown_ = records; }

  /// Covers the rows of each file, and some bytes of up to 16 files.
  std::string fingerprint() override {
    if (files_.empty()) return {};
    Sha256 sha;
    std::vector<std::string> names;
    for (const File& file : files_) {
      sha.update(&file.rows, sizeof file.rows);
      names.push_back(file.name);
    }
    return str(epoch_rows_, " rows of ", files_.size(), " files, list ", sha.short_hex(),
               ", sample ", files_sample(names));
  }

 private:
  struct File {
    std::string name;
    std::uint64_t rows;
  };

  void scan() try {
    std::vector<File> files;
    for (const TextLine& line : read_lines(param_.source())) {
      const std::string name = line.text.substr(line.text.find_first_not_of(" \t"));
      try {
        files.push_back({name, scan_file(name, files.empty())});
      } catch (const Error& e) {
        throw Error(str(param_.source(), ":", line.number, ": ", e.message()));
      }
    }
    for (const File& file : files) epoch_rows_ += file.rows;
    require(epoch_rows_ > 0, param_.source(), " lists ", files.size(),
            " files and they have no rows");
    files_ = std::move(files);
  } catch (const Error& e) {
    throw Error(e.message(), {}, "hdf5_data_param.source");
  }

  /// Returns the number of rows. Throws: Error if datasets are unreadable or do not fit.
  std::uint64_t scan_file(const std::string& name, bool first) {
    const auto file = open_hdf5(name);
    Index rows = 0;
    for (std::size_t t = 0; t < datasets_.size(); ++t) {
      const Shape shape = file->shape(datasets_[t]);
      require(shape.axes() > 0, name, ": dataset '", datasets_[t], "' is a scalar, not rows");
      if (t == 0) rows = shape[0];
      require(shape[0] == rows, name, ": dataset '", datasets_[t], "' has ", shape[0],
              " rows and '", datasets_[0], "' has ", rows);
      if (first) row_shapes_.push_back(shape.with(0, 1));
      require(shape.with(0, 1) == row_shapes_[t], name, ": rows of dataset '", datasets_[t],
              "' are ", shape.with(0, 1).text(), ", in the first file they are ",
              row_shapes_[t].text());
    }
    return static_cast<std::uint64_t>(rows);
  }

  /// Loads the file that holds record number records_ and returns the record's row there.
  Index find_row(std::uint64_t seed) {
    const std::uint64_t epoch = records_ / epoch_rows_;
    std::uint64_t rest = records_ % epoch_rows_;
    const Random draws{seed, stream_, epoch};
    if (file_order_.empty() || epoch != ordered_epoch_) {
      const auto n = static_cast<Index>(files_.size());
      file_order_ = param_.shuffle() ? permutation(n, draws) : in_order(n);
      ordered_epoch_ = epoch;
    }
    auto file = file_order_.begin();
    for (; rest >= rows_of(*file); ++file) rest -= rows_of(*file);
    if (loaded_.values.empty() || loaded_.file != *file || loaded_.epoch != epoch)
      load(*file, epoch, draws);
    return loaded_.row_order[rest];
  }

  void load(Index file, std::uint64_t epoch, const Random& draws) {
    if (loaded_.values.empty() || loaded_.file != file) loaded_.values = read(file);
    const auto rows = static_cast<Index>(rows_of(file));
    constexpr Index kDrawsPerFile = Index{1} << 32;
    loaded_.row_order =
        param_.shuffle() ? permutation(rows, draws, (file + 1) * kDrawsPerFile) : in_order(rows);
    loaded_.file = file;
    loaded_.epoch = epoch;
  }

  std::vector<Tensor> read(Index file) const {
    const std::string& name = files_[static_cast<std::size_t>(file)].name;
    const auto h5 = open_hdf5(name);
    std::vector<Tensor> values(datasets_.size());
    for (std::size_t t = 0; t < datasets_.size(); ++t) {
      h5->read(datasets_[t], values[t]);
      require(values[t].shape() == row_shapes_[t].with(0, static_cast<Index>(rows_of(file))), name,
              " has changed since training began");
    }
    return values;
  }

  static std::vector<Index> in_order(Index n) {
    std::vector<Index> order(static_cast<std::size_t>(n));
    std::iota(order.begin(), order.end(), Index{0});
    return order;
  }

  std::uint64_t rows_of(Index file) const { return files_[static_cast<std::size_t>(file)].rows; }

  std::uint32_t stream_;
  HDF5DataParameter param_;
  Index batch_size_, rows_shown_;
  std::vector<std::string> datasets_;  // one per top
  std::vector<File> files_;
  std::vector<Shape> row_shapes_;  // per top, with one row
  std::uint64_t epoch_rows_ = 0;
  std::uint64_t records_ = 0;  // shown so far
  double waited_ = 0;          // seconds
  std::vector<Index> file_order_;
  std::uint64_t ordered_epoch_ = 0;
  struct {
    std::vector<Tensor> values;  // per top
    std::vector<Index> row_order;
    Index file = 0;
    std::uint64_t epoch = 0;
  } loaded_;
};
DOPPIO_REGISTER_LAYER_ON(Device::any, "HDF5Data", Hdf5Data, .bottoms = exactly(0),
                         .tops = at_least(1), .is_source = true);

}  // namespace
}  // namespace doppio
