#include "data/convert/image_mean.hpp"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <numeric>
#include <optional>

#include "core/at.hpp"
#include "core/printable.hpp"
#include "core/threads.hpp"
#include "data/image/datum.hpp"
#include "data/image/mean_file.hpp"
#include "data/prefetch.hpp"
#include "data/storage/database_list.hpp"
#include "doppio.pb.h"
#include "doppio/error.hpp"
#include "io/atomic_file.hpp"

namespace doppio {

namespace fs = std::filesystem;

namespace {

/// Sums of one worker over its images, as C x H x W, and over their colours.
struct WorkerSums {
  DatumReader reader;
  std::vector<double> sums;
  ColorSums colors;
};

template <class Pixel>
void add_pixels(const Pixel* pixels, const Image& image, std::vector<double>& sums) {
  double* sum = sums.data();
  for (Index c = 0; c < image.channels; ++c)
    for (Index h = 0; h < image.height; ++h, sum += image.width) {
      const Pixel* row = pixels + c * image.channel_step + h * image.row_step;
      for (Index w = 0; w < image.width; ++w) sum[w] += row[w * image.pixel_step];
    }
}

void add(const Image& image, std::vector<double>& sums) {
  if (image.bytes)
    add_pixels(image.bytes, image, sums);
  else
    add_pixels(image.floats, image, sums);
}

/// Sums all records. Sums of bytes are exact and thus independent of order. Floats are added by one
/// worker in the order of the records.
WorkerSums sum_images(Database& reader, const Image& first, const MeanOptions& options) {
  constexpr Index kBatch = 64;
  struct Nothing {};
  const Shape shape = first.shape();
  const int workers = first.bytes ? worker_count(options.threads) : 1;
  std::vector<WorkerSums> partial;
  for (int i = 0; i < workers; ++i)
    partial.push_back(
        {DatumReader(), std::vector<double>(static_cast<std::size_t>(shape.count())), {}});
  const Index total = reader.size();
  Index claimed = 0;
  const auto claim = [&] {
    return claimed++ < total ? std::optional(reader.next()) : std::nullopt;
  };
  const auto make = [&](int worker, const std::optional<Record>& record, Nothing&, Index) {
    if (!record) return;
    WorkerSums& mine = at(partial, worker);
    with_context(record_context(*record), [&] {
      const Image image = mine.reader.read(record->value);
      require(image.shape() == shape, "the image is ", image.shape().text(), " and the first one ",
              shape.text(), "; a mean image needs a database of one size");
      add(image, mine.sums);
      if (!options.pca.empty()) mine.colors.add(image);
    });
  };
  {
    Prefetcher<std::optional<Record>, Nothing> pass(std::vector<Nothing>(4), kBatch, workers,
                                                    {claim, make});
    for (Index done = 0; done < total;) {
      pass.take();
      pass.release();
      done = std::min(done + kBatch, total);
      if (options.progress) options.progress(done, total);
    }
  }
  WorkerSums& all = partial[0];
  for (int i = 1; i < workers; ++i) {
    const WorkerSums& other = at(partial, i);
    std::transform(all.sums.begin(), all.sums.end(), other.sums.begin(), all.sums.begin(),
                   std::plus<>());
    all.colors.add(other.colors);
  }
  return std::move(all);
}

/// Throws: Error unless both outputs are writable, distinct and outside of the databases.
void check_outputs(const MeanOptions& options, const std::vector<std::string>& databases) {
  std::error_code unknown;
  for (const std::string& file : {options.output, options.pca}) {
    if (file.empty()) continue;
    const fs::path folder = fs::path(file).has_parent_path() ? fs::path(file).parent_path() : ".";
    require(!fs::is_directory(file, unknown), printable(file),
            " is a folder; give the name of a file for the result");
    for (const std::string& database : databases)
      require(!fs::equivalent(folder, database, unknown), printable(file),
              " would lie within the database; give another name for the result");
    require_writable(file);
  }
  const auto plain = [&](const std::string& file) {
    return fs::weakly_canonical(fs::absolute(file, unknown), unknown);
  };
  require(
      options.output.empty() || options.pca.empty() || plain(options.output) != plain(options.pca),
      "the mean and the color components need different files; both are ",
      printable(options.output));
}

}  // namespace

ImageMean compute_image_mean(const MeanOptions& options) {
  const std::vector<std::string> paths = database_paths(options.database);
  require(!paths.empty(), missing_database(options.database));
  const std::unique_ptr<Database> database = open_databases(paths);
  check_outputs(options, paths);
  Database& reader = *database;
  DatumReader datum;
  const Record record = reader.next();
  Image first;
  with_context(record_context(record), [&] { first = datum.read(record.value); });
  reader.seek(0);
  ImageMean result{reader.size(), first.shape(), {}, {}};
  WorkerSums sums = sum_images(reader, first, options);
  std::vector<double>& mean = sums.sums;
  for (double& v : mean) v /= static_cast<double>(result.images);
  const Index pixels = first.height * first.width;
  for (auto v = mean.begin(); v != mean.end(); v += pixels)
    result.channels.push_back(std::accumulate(v, v + pixels, 0.0) / static_cast<double>(pixels));
  if (!options.output.empty()) write_mean_file(options.output, result.shape, mean);
  if (options.pca.empty()) return result;
  result.components = sums.colors.components();
  write_color_components(options.pca, *result.components);
  return result;
}

}  // namespace doppio
