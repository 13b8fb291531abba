// `doppio extract`: stores the values of blobs in databases.
#include <glog/logging.h>

#include <cstdio>
#include <filesystem>
#include <memory>

#include "core/printable.hpp"
#include "data/storage/database_list.hpp"
#include "io/comma_list.hpp"
#include "net/format/source_map.hpp"
#include "tools/command.hpp"
#include "tools/flags.hpp"
#include "tools/interrupt.hpp"
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

/// Writes the features of all batches. Removes the databases on failure.
void write_features(Net& net, const std::vector<std::string>& blobs,
                    const std::vector<std::string>& databases) {
  const Interruptible signals;
  std::vector<std::unique_ptr<FeatureWriter>> writers;
  try {
    for (std::size_t i = 0; i < blobs.size(); ++i)
      writers.push_back(std::make_unique<FeatureWriter>(blobs[i], databases[i]));
    for (int i = 0; i < FLAGS_iterations; ++i) {
      signals.check();
      net.forward();
      for (const auto& writer : writers) writer->add(net);
    }
    note_repeated_images(net, FLAGS_iterations);
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

int run(const Arguments& given) {
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
  const NetState state = state_of_flags(TEST);
  SourcedNet source = read_model(overrides, state);
  overrides.require_all_used();
  require_not_read(source.net, databases);
  Net net(ctx, std::move(source), state);
  load_weights(net, comma_list(FLAGS_weights));
  net.save_memory(Passes::forward, blobs);

  write_features(net, blobs, databases);
  return kDone;
}

}  // namespace

Command extract_command() {
  return {
      .name = "extract",
      .summary = "run a net and store the values of blobs in databases",
      .operands = "BLOB[,BLOB...] DB[,DB...]",
      .flags = {"model", "weights", "iterations", "backend", "overwrite", "gpu", "level", "stage",
                "set", "no_fusion", "reference"},
      .example =
          "doppio extract --model=train_val.prototxt --weights=alexnet.caffemodel \\\n"
          "    --iterations=10 fc7 fc7_lmdb",
      .run = run,
      .min_operands = 2,
      .max_operands = 2,
      .notes =
          "The net runs in phase TEST for --iterations batches. A record is a Datum with\n"
          "float_data; its key is the number of the item in ten digits. DB is made in DB.partial;\n"
          "--overwrite replaces the old one when the new one is complete."};
}

}  // namespace doppio
