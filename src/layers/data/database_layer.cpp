#include "layers/data/database_layer.hpp"

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

}  // namespace

DatabaseLayer::DatabaseLayer(const LayerParameter& p, Index height, Index width)
    : ImageLayer(p, feed_options(p.data_param(), "data_param"), options(p, height, width)),
      param_(p.data_param()) {}

std::unique_ptr<ImageSource> DatabaseLayer::open_source() const {
  check_backend();
  return open_database_source(param_.source(0), [this] { return make_reader(); });
}

std::string DatabaseLayer::missing_source() const {
  return has_database(param_.source(0)) ? "" : missing_database(param_.source(0));
}

/// The schema's default is LEVELDB, so an absent backend means either.
void DatabaseLayer::check_backend() const {
  if (!param_.has_backend()) return;
  const bool lmdb = find_backend(param_.source(0)) == Backend::lmdb;
  require_field(lmdb == (param_.backend() == DataParameter::LMDB), "data_param.backend",
                param_.source(0), " is ", lmdb ? "an LMDB" : "a LevelDB",
                " database; write backend: ", lmdb ? "LMDB" : "LEVELDB");
}

}  // namespace doppio
