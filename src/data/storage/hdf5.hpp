#pragma once
#include <memory>
#include <string>
#include <vector>

#include "doppio/tensor.hpp"

namespace doppio {

// HDF5 files. Objects are named by paths such as "data/conv1/0", with or without a leading '/'. All
// functions throw Error with the file and the path. A file may be used by one thread at a time.
// Different files may be used concurrently.

/// Returns true if this build supports .h5 files.
bool built_with_hdf5();

/// Returns true if `file` has HDF5's signature, regardless of its name. Available in every build.
bool is_hdf5(const std::string& file);

/// An .h5 file open for reading. Links to other files are rejected.
class Hdf5Reader {
 public:
  virtual ~Hdf5Reader() = default;

  /// Returns true if there is a dataset or group at `path`.
  virtual bool has(const std::string& path) const = 0;
  /// Returns the paths, relative to `group`, of all datasets in it and its subgroups, in
  /// alphabetical order. Empty if there is no such group.
  virtual std::vector<std::string> datasets(const std::string& group) const = 0;

  /// Returns the shape of the dataset at `path`. Throws: Error if read() would fail before reading
  /// values: because of the type, a missing filter, or values that were never written.
  virtual Shape shape(const std::string& path) const = 0;

  /// How to handle elements whose values were never written.
  enum class Unwritten { fill_value, error };
  /// Reshapes `tensor` and reads integers or floating-point numbers of any width into it. Throws:
  /// Error also if the values differ from the checksum stored by Hdf5Writer.
  virtual void read(const std::string& path, Tensor& tensor,
                    Unwritten unwritten = Unwritten::fill_value) const = 0;
  virtual int read_int(const std::string& path) const = 0;
  virtual std::string read_string(const std::string& path) const = 0;
};

/// Builds an .h5 file in memory. Equal contents produce equal bytes.
///
/// Every dataset has an attribute "doppio_sha256": the SHA-256 of its stored values in hexadecimal.
/// Missing parent groups are created. `path` must not exist.
class Hdf5Writer {
 public:
  virtual ~Hdf5Writer() = default;

  virtual void write(const std::string& path, const Tensor& tensor) = 0;
  virtual void write_int(const std::string& path, int value) = 0;
  virtual void write_string(const std::string& path, const std::string& value) = 0;
  virtual void make_group(const std::string& path) = 0;

  /// Writes the whole file by write_file_atomically(). Without this call nothing is written.
  /// Returns the file's SHA-256. The object must not be used afterwards.
  virtual std::string close() = 0;
};

/// An .h5 file whose datasets grow on disk, so they may exceed memory.
class Hdf5Appender {
 public:
  virtual ~Hdf5Appender() = default;

  /// Appends rows to a dataset, which is created if necessary, and flushes. Between calls the shape
  /// of `rows` may differ only in its first axis.
  virtual void append(const std::string& path, const Tensor& rows) = 0;
};

/// Opens a file for reading. Throws: Error if it is missing, not HDF5, or HDF5 is unsupported.
std::unique_ptr<Hdf5Reader> open_hdf5(const std::string& file);

/// Starts a file that close() writes to `file`.
std::unique_ptr<Hdf5Writer> create_hdf5(const std::string& file);

/// Creates `file`, or truncates it if it exists. Messages call it `shown_as`.
std::unique_ptr<Hdf5Appender> append_hdf5(const std::string& file, const std::string& shown_as);

}  // namespace doppio
