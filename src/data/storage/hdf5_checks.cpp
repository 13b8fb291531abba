#include "data/storage/hdf5_checks.hpp"

#include <algorithm>

namespace doppio {

namespace {

// Deflate compresses by at most 1032. kMaxImplied bytes may be fill values.
constexpr double kMaxGain = 1100, kMaxImplied = 256e6;

void require_filters(const Hdf5Name& name, const std::string& path, hid_t properties) {
  for (int i = 0; i < H5Pget_nfilters(properties); ++i) {
    unsigned flags = 0, configuration = 0;
    std::size_t values = 0;
    char filter[64] = {};
    const H5Z_filter_t number =
        H5Pget_filter2(properties, static_cast<unsigned>(i), &flags, &values, nullptr,
                       sizeof filter, filter, &configuration);
    if (number >= 0 && H5Zfilter_avail(number) > 0) continue;
    name.fail(path, str("is compressed by filter ", number, " (", filter,
                        "), which this system does not have; store it with gzip, or "
                        "uncompressed"));
  }
}

/// Throws: Error if elements were never written, unless `unwritten` allows for a defined fill
/// value.
void require_written(const Hdf5Name& name, const std::string& path, hid_t dataset, hid_t properties,
                     std::uint64_t count, Hdf5Reader::Unwritten unwritten) {
  H5D_space_status_t status = H5D_SPACE_STATUS_ALLOCATED;
  H5D_fill_value_t fill = H5D_FILL_VALUE_UNDEFINED;
  H5D_fill_time_t time = H5D_FILL_TIME_NEVER;
  name.check(H5Dget_space_status(dataset, &status), path, "cannot be read");
  H5Pfill_value_defined(properties, &fill);
  H5Pget_fill_time(properties, &time);
  if (count == 0 || status == H5D_SPACE_STATUS_ALLOCATED) return;
  if (unwritten == Hdf5Reader::Unwritten::error || fill == H5D_FILL_VALUE_UNDEFINED ||
      time == H5D_FILL_TIME_NEVER)
    name.fail(path, "has values that were never written");
}

/// Throws: Error for dataset or chunk sizes that the file cannot hold, before memory is allocated.
void require_stored(const Hdf5Name& name, const std::string& path, hid_t dataset, hid_t properties,
                    std::uint64_t count) {
  const Id type(H5Dget_type(dataset), H5Tclose);
  const auto stored = static_cast<double>(H5Dget_storage_size(dataset));
  double elements = static_cast<double>(count);
  hsize_t chunk[H5S_MAX_RANK] = {};
  if (H5Pget_layout(properties) == H5D_CHUNKED && stored > 0) {
    double in_chunk = 1;
    for (int i = H5Pget_chunk(properties, H5S_MAX_RANK, chunk); i-- > 0;)
      in_chunk *= static_cast<double>(chunk[i]);
    elements = std::max(elements, in_chunk);
  }
  const double bytes = elements * static_cast<double>(H5Tget_size(type));
  if (bytes > stored * kMaxGain + kMaxImplied)
    name.fail(path, str("declares ", bytes / 1e6, " MB but stores ", stored / 1e6, " MB"));
}

}  // namespace

void require_readable(const Hdf5Name& name, const std::string& path, hid_t dataset,
                      std::uint64_t count, Hdf5Reader::Unwritten unwritten) {
  const Id properties(H5Dget_create_plist(dataset), H5Pclose);
  // Prevents crafted files from exposing other files of this machine.
  if (H5Pget_layout(properties) == H5D_VIRTUAL || H5Pget_external_count(properties) > 0)
    name.fail(path, "keeps its data in another file, which is not supported");
  require_filters(name, path, properties);
  require_written(name, path, dataset, properties, count, unwritten);
  require_stored(name, path, dataset, properties, count);
}

}  // namespace doppio
