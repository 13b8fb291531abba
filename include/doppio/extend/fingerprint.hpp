#pragma once
#include <string>

namespace doppio {

/// Implemented by data layers that read files, so that machines with their own copies of the files
/// can check that they read the same.
class FingerprintedSource {
 public:
  virtual ~FingerprintedSource() = default;

  /// Returns a short text that is equal for copies of the layer's files, in whatever folders, and
  /// very likely differs for other files: a hash of some records, of the mean file and so on.
  /// Example: "60000 records, sample 91bd3ad3cbf1c2ab, mean_file 5feceb66ffc86f38". Empty before
  /// the first reshape. Reads a few files and about 16 records, and does not change which records
  /// are read next. Throws: Error if they cannot be read.
  virtual std::string fingerprint() = 0;
};

}  // namespace doppio
