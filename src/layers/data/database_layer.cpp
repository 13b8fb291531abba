#include "layers/data/database_layer.hpp"

#include "core/with_context.hpp"
#include "data/storage/database_list.hpp"
#include "doppio/extend/registry.hpp"

namespace doppio {

namespace {

ReadOptions options(const LayerParameter& p, Index height, Index width) {
  ReadOptions options = read_options(p.data_param(), p.transform_param(), "data_param");
  options.rand_skip = 0;  // Caffe ignores it here
  options.height = height;
  options.width = width;
  return options;
}

std::string source_field(int i) { return str("data_param.source[", i, "]"); }

}  // namespace

DatabaseLayer::DatabaseLayer(const LayerParameter& p, Index height, Index width)
    : ImageLayer(p, feed_options(p.data_param(), "data_param"), options(p, height, width)),
      param_(p.data_param()) {
  for (int i = 0; i < param_.source_size(); ++i)
    require_field(!param_.source(i).empty(), source_field(i), "source is empty");
}

std::unique_ptr<ImageSource> DatabaseLayer::open_source() const {
  const std::vector<std::string> databases = paths();
  return with_context(field_context("data_param.source"), [&] {
    for (const std::string& path : databases) check_backend(path);
    return open_database_source(databases, [this] { return make_reader(); });
  });
}

std::string DatabaseLayer::missing_source() const {
  for (const std::string& source : param_.source()) {
    const std::vector<std::string> found = database_paths(source);
    if (found.empty()) return missing_database(source);
    for (const std::string& path : found)
      if (!has_database(path)) return missing_database(path);
  }
  return {};
}

/// Returns the folders of all databases. Throws: Error if a pattern matches none.
std::vector<std::string> DatabaseLayer::paths() const {
  std::vector<std::string> all;
  for (int i = 0; i < param_.source_size(); ++i) {
    const std::vector<std::string> found = database_paths(param_.source(i));
    require_field(!found.empty(), source_field(i), missing_database(param_.source(i)));
    all.insert(all.end(), found.begin(), found.end());
  }
  return all;
}

/// The schema's default is LEVELDB, so an absent backend means either.
void DatabaseLayer::check_backend(const std::string& path) const {
  if (!param_.has_backend()) return;
  const bool lmdb = find_backend(path) == Backend::lmdb;
  require_field(lmdb == (param_.backend() == DataParameter::LMDB), "data_param.backend", path,
                " is ", lmdb ? "an LMDB" : "a LevelDB",
                " database; write backend: ", lmdb ? "LMDB" : "LEVELDB");
}

}  // namespace doppio
