#pragma once
#include <cstdint>
#include <string>

#include "data/storage/hdf5.hpp"
#include "data/storage/hdf5_handles.hpp"

namespace doppio {

/// Throws: Error unless all `count` elements of a dataset can be read: from this file only, with
/// available filters, and with no more memory than the file's size justifies.
void require_readable(const Hdf5Name& name, const std::string& path, hid_t dataset,
                      std::uint64_t count, Hdf5Reader::Unwritten unwritten);

}  // namespace doppio
