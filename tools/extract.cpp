// `doppio extract`: stores the values of blobs in databases.
#include <glog/logging.h>

#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>

#include "core/printable.hpp"
#include "data/storage/database_list.hpp"
#include "io/comma_list.hpp"
#include "net/format/source_map.hpp"
#include "tools/command.hpp"
#include "tools/ensemble.hpp"
#include "tools/flags.hpp"
#include "tools/image_net.hpp"
#include "tools/interrupt.hpp"
#include "tools/project/project_folder.hpp"
#include "tools/setup.hpp"

namespace doppio {

namespace fs = std::filesystem;

namespace {

/// A database that stores the items of a blob, batch by batch.
class FeatureWriter {
 public:
  FeatureWriter(const std::string& blob, const std::string& database)
      : blob_(blob),
        database_(database),
        writer_(make_database(database, backend_of(FLAGS_backend),
                              FLAGS_overwrite ? IfThere::replace : IfThere::fail)) {}

  void add(Net& net) {
    const Tensor& features = net.blob(blob_).data;
    const Shape& shape = features.shape();
    require(shape.axes() >= 1 && shape.axes() <= 4, "blob '", blob_, "' is ", shape.text(),
            "; a database record takes N items of up to 3 axes");
    const float* value = features.read_host();
    const Index size = shape.count_from(1);
    for (Index n = 0; n < shape[0]; ++n, value += size) {
      Datum datum;
      datum.set_channels(static_cast<int>(shape.dim_or_1(1)));
      datum.set_height(static_cast<int>(shape.dim_or_1(2)));
      datum.set_width(static_cast<int>(shape.dim_or_1(3)));
      datum.mutable_float_data()->Add(value, value + size);
      char key[24];
      std::snprintf(key, sizeof key, "%010lld", static_cast<long long>(count_++));
      writer_->put(key, datum.SerializeAsString());
    }
  }

  void finish() {
    writer_->finish();
    LOG(INFO) << "Extracted features of " << count_ << " items for blob " << blob_ << " to "
              << database_;
  }

  void discard() { writer_->discard(); }

 private:
  std::string blob_, database_;
  std::unique_ptr<DatabaseWriter> writer_;
  Index count_ = 0;
};

/// Writes the features of all batches of `net`, until next_batch() returns false. Removes the
/// databases on failure.
void write_features(Net& net, const std::vector<std::string>& blobs,
                    const std::vector<std::string>& databases,
                    const std::function<bool()>& next_batch) {
  const Interruptible signals;
  std::vector<std::unique_ptr<FeatureWriter>> writers;
  try {
    for (std::size_t i = 0; i < blobs.size(); ++i)
      writers.push_back(std::make_unique<FeatureWriter>(blobs[i], databases[i]));
    while (next_batch()) {
      signals.check();
      for (const auto& writer : writers) writer->add(net);
    }
    for (const auto& writer : writers) writer->finish();
  } catch (...) {
    for (const auto& writer : writers) writer->discard();
    throw;
  }
}

/// Returns a canonical path of a folder, which need not exist.
std::string plain_path(const std::string& path) {
  std::error_code unknown;
  const fs::path absolute = fs::weakly_canonical(fs::absolute(path, unknown), unknown);
  return (absolute.has_filename() ? absolute : absolute.parent_path()).string();
}

/// Throws: UsageError if two of the databases have the same folder.
void require_apart(const std::vector<std::string>& databases) {
  for (std::size_t i = 0; i < databases.size(); ++i)
    for (std::size_t k = 0; k < databases.size(); ++k) {
      const std::string a = plain_path(databases[i]), b = plain_path(databases[k]);
      if (k < i && a == b)
        throw UsageError("'" + printable(databases[i]) + "' and '" + printable(databases[k]) +
                         "' are one database; each blob needs its own");
      if (b.starts_with(a + "/") || b == a + ".partial")
        throw UsageError("the database '" + printable(databases[k]) + "' would lie within '" +
                         printable(databases[i]) + "', or where that is made; give another name");
    }
}

/// Throws: UsageError if the net reads one of the databases to be created.
void require_not_read(const NetParameter& net, const std::vector<std::string>& databases) {
  for (const LayerParameter& layer : net.layer())
    for (const std::string& source : layer.data_param().source())
      for (const std::string& path : database_paths(source))
        for (const std::string& database : databases)
          if (plain_path(path) == plain_path(database))
            throw UsageError("'" + printable(database) + "' is the database that layer '" +
                             printable(layer.name()) + "' reads; give another name");
}

/// Extracts features of the records that the net's data layer reads.
void extract_from_records(Context& ctx, Overrides& overrides, const std::vector<std::string>& blobs,
                          const std::vector<std::string>& databases) {
  const NetState state = state_of_flags(TEST);
  SourcedNet source = read_model(overrides, state);
  overrides.require_all_used();
  require_not_read(source.net, databases);
  Net net(ctx, std::move(source), state);
  require(net.inputs().empty(), FLAGS_model,
          ": has an Input layer, which needs images: give them after the databases");
  load_weights(net, comma_list(FLAGS_weights));
  net.save_memory(Passes::forward, blobs);
  int batches = 0;
  write_features(net, blobs, databases, [&] {
    if (batches++ == FLAGS_iterations) return false;
    net.forward();
    return true;
  });
  note_repeated_images(net, FLAGS_iterations);
}

/// Extracts features of image files, for a net with an Input layer.
void extract_from_images(Context& ctx, Overrides& overrides, const std::vector<std::string>& blobs,
                         const std::vector<std::string>& databases,
                         const std::vector<std::string>& operands) {
  if (FLAGS_views > 1)
    throw UsageError("--views: features are extracted from one view of an image");
  const std::vector<ImageFile> images = expand_images(operands, FLAGS_root);
  ImageNet net(ctx, {FLAGS_model, FLAGS_weights}, overrides, blobs, nullptr);
  overrides.require_all_used();
  std::span<const ImageFile> rest(images);
  write_features(net.net(), blobs, databases, [&] {
    if (rest.empty()) return false;
    const std::span<const ImageFile> batch = rest.first(std::min(net.batch(), rest.size()));
    Problems unreadable;
    for (const std::optional<Error>& error : net.run(batch))
      if (error) unreadable.add(*error);
    unreadable.throw_if_any();
    rest = rest.subspan(batch.size());
    return true;
  });
}

int run(const Arguments& given) {
  use_project_folder(given.operands.size() > 2 ? "deploy.prototxt" : "train_val.prototxt");
  require_flag("model", "extract");
  require_flag("weights", "extract");
  if (FLAGS_iterations < 1) throw UsageError("--iterations must be at least 1");
  backend_of(FLAGS_backend);  // fails before the net is built
  const std::vector<std::string> blobs = comma_list(given.operands[0]);
  const std::vector<std::string> databases = comma_list(given.operands[1]);
  if (blobs.size() != databases.size())
    throw UsageError(
        str(blobs.size(), " blobs need as many databases, ", databases.size(), " are given"));
  require_apart(databases);

  Context ctx = open_context();
  apply_flags(ctx);
  Overrides overrides(given.sets);
  if (given.operands.size() > 2)
    extract_from_images(ctx, overrides, blobs, databases,
                        {given.operands.begin() + 2, given.operands.end()});
  else
    extract_from_records(ctx, overrides, blobs, databases);
  return kDone;
}

}  // namespace

Command extract_command() {
  return {
      .name = "extract",
      .summary = "run a net and store the values of blobs in databases",
      .operands = "BLOB[,BLOB...] DB[,DB...] [IMAGE...]",
      .flags = {{"model=FILE", "net prototxt, or a folder that `doppio new` made"},
                {"weights=FILES",
                 "weights of the net (.caffemodel or .caffemodel.h5); several files, separated by "
                 "commas, are copied into it one after the other"},
                {"iterations=N", "batches to run, if there are no IMAGEs"},
                {"root=PREFIX", "prefix of the paths in lists of images"},
                {"mean=FILE", "mean image to subtract from IMAGEs, instead of the net's"},
                {"mean_value=VALUES",
                 "values to subtract instead: one, or one per channel (B,G,R)"},
                {"scale=X", "factor on the pixels of IMAGEs (default: that of the net, else 1)"},
                {"resize=N", "resize IMAGEs to N x N pixels before the center crop"},
                {"backend=FORMAT", "format of the databases: lmdb or leveldb"},
                {"overwrite", "replace existing databases when the new ones are complete"},
                {"gpu=ID", "number of the GPU to run on, such as 0 (default: the CPU)"},
                {"set=FIELD=VALUE", "change a field of the net for this run: `doppio help set`"},
                {"level=N", "level of the net, for its include and exclude rules"},
                {"stage=NAMES", "stages of the net, for the same rules, separated by commas"},
                {"no_fusion", "run every layer separately, without fusing it with the next ones"},
                {"reference",
                 "compute with the slow reference implementations, to check the fast ones"}},
      .example =
          "doppio extract --model=train_val.prototxt --weights=alexnet.caffemodel \\\n"
          "    --iterations=10 fc7 fc7_lmdb",
      .run = run,
      .min_operands = 2,
      .max_operands = 1 << 20,
      .notes =
          "The net runs in phase TEST: for --iterations batches of its data layer or, for a net "
          "with\n"
          "an Input layer, on the IMAGEs (files, folders or lists), which are prepared as by\n"
          "`classify`. A record is a Datum with float_data; its key is the number of the item in "
          "ten\n"
          "digits. DB is made in DB.partial; --overwrite replaces the old one when it is "
          "complete."};
}

}  // namespace doppio
