#include "data/image/image_source.hpp"

#include <opencv2/imgproc.hpp>

#include "core/printable.hpp"
#include "data/storage/database_list.hpp"
#include "doppio/error.hpp"
#include "io/files_sample.hpp"
#include "io/sha256.hpp"

namespace doppio {

namespace {

class RecordReader final : public ImageReader {
 public:
  explicit RecordReader(const DecodeOptions& options) : datum_(options.color, options.min_side) {}
  Image read(const SourceItem& item, const Random&) override {
    return datum_.read(item.record.value);
  }

 private:
  DatumReader datum_;
};

class DatabaseSource final : public ImageSource {
 public:
  DatabaseSource(const std::vector<std::string>& paths,
                 std::function<std::unique_ptr<ImageReader>()> make_reader)
      : paths_(paths), make_reader_(std::move(make_reader)), database_(open_databases(paths)) {}

  SourceItem in_order(std::uint64_t number) override {
    database_->seek(number);
    return {database_->next()};
  }
  SourceItem at(Index k) override { return {database_->at(k), k}; }
  Index size() override { return database_->size(); }
  Index known_size() const override { return database_->known_size(); }
  std::string name(const SourceItem& item) const override {
    return record_name(item.record.database, item.record.key);
  }
  std::unique_ptr<ImageReader> reader() const override { return make_reader_(); }
  std::string fingerprint() const override { return database_fingerprint(paths_); }

 private:
  const std::vector<std::string> paths_;
  const std::function<std::unique_ptr<ImageReader>()> make_reader_;
  const std::unique_ptr<Database> database_;
};

using Entries = std::vector<ImageEntry>;

class FileReader final : public ImageReader {
 public:
  FileReader(std::shared_ptr<const Entries> entries, std::string root, const DecodeOptions& options)
      : entries_(std::move(entries)), root_(std::move(root)), options_(options) {}

  Image read(const SourceItem& item, const Random&) override {
    const ImageEntry& entry = (*entries_)[static_cast<std::size_t>(item.place)];
    pixels_ = decode_image(read_listed_file(root_, entry.path), options_.color, options_.min_side);
    if (options_.height > 0)
      cv::resize(pixels_, pixels_,
                 cv::Size(static_cast<int>(options_.width), static_cast<int>(options_.height)));
    return view_of(pixels_, entry.label);
  }

 private:
  const std::shared_ptr<const Entries> entries_;
  const std::string root_;
  const DecodeOptions options_;
  cv::Mat pixels_;
};

class ListSource final : public ImageSource {
 public:
  ListSource(const std::string& list, const std::string& root, const DecodeOptions& options)
      : list_(list),
        root_(root),
        options_(options),
        entries_(std::make_shared<Entries>(read_image_list(list, root))) {}

  SourceItem in_order(std::uint64_t number) override {
    return at(static_cast<Index>(number % entries_->size()));
  }
  SourceItem at(Index k) override {
    return {{(*entries_)[static_cast<std::size_t>(k)].path, {}}, k};
  }
  Index size() override { return known_size(); }
  Index known_size() const override { return static_cast<Index>(entries_->size()); }
  std::string name(const SourceItem& item) const override {
    return str("list ", printable(list_), ", image '", printable(item.record.key), "'");
  }
  std::unique_ptr<ImageReader> reader() const override {
    return std::make_unique<FileReader>(entries_, root_, options_);
  }
  std::string fingerprint() const override {
    Sha256 list;
    std::vector<std::string> paths;
    for (const ImageEntry& entry : *entries_) {
      list.update_with_length(entry.path);
      list.update(&entry.label, sizeof entry.label);
      paths.push_back(root_ + entry.path);
    }
    return str(known_size(), " images, list ", list.short_hex(), ", sample ", files_sample(paths));
  }

 private:
  const std::string list_, root_;
  const DecodeOptions options_;
  const std::shared_ptr<const Entries> entries_;
};

}  // namespace

std::unique_ptr<ImageReader> make_record_reader(const DecodeOptions& options) {
  return std::make_unique<RecordReader>(options);
}

std::unique_ptr<ImageSource> open_database_source(
    const std::vector<std::string>& paths,
    std::function<std::unique_ptr<ImageReader>()> make_reader) {
  return std::make_unique<DatabaseSource>(paths, std::move(make_reader));
}

std::unique_ptr<ImageSource> open_list_source(const std::string& list, const std::string& root,
                                              const DecodeOptions& options) {
  return std::make_unique<ListSource>(list, root, options);
}

}  // namespace doppio
