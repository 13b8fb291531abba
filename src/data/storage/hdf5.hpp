#pragma once
#include <memory>
#include <string>
#include <vector>

#include "doppio/tensor.hpp"

namespace doppio {

// Files in HDF5's format. Paths such as "data/conv1/0" name what is in them, with or without a
// first '/'. All functions throw Error with the file and the path in it. Not for use from several
// threads at once; two files in two threads are fine.

/// True if this build reads and writes .h5 files.
bool built_with_hdf5();

/// True if `file` has HDF5's signature, whatever its name. Works in every build.
bool is_hdf5(const std::string& file);

/// An .h5 file that is read. Everything must be in this file: links to other files are refused.
class Hdf5Reader {
 public:
  virtual ~Hdf5Reader() = default;

  /// True if there is a dataset or group at `path`.
  virtual bool has(const std::string& path) const = 0;
  /// Paths, relative to `group`, of all datasets in it and in the groups below, in alphabetical
  /// order. Empty if there is no such group.
  virtual std::vector<std::string> datasets(const std::string& group) const = 0;

  /// Shape of the numbers at `path`. Throws what read() would throw without reading the values:
  /// the type, a filter that is missing, values that were never written.
  virtual Shape shape(const std::string& path) const = 0;

  /// What the elements are that the file has no values for.
  enum class Unwritten { fill_value, error };
  /// Reshapes `tensor` and reads integers or floating-point numbers of any width into it. Throws:
  /// Error also if the values differ from the checksum that Hdf5Writer stored with them.
  virtual void read(const std::string& path, Tensor& tensor,
                    Unwritten unwritten = Unwritten::fill_value) const = 0;
  virtual int read_int(const std::string& path) const = 0;
  virtual std::string read_string(const std::string& path) const = 0;
};

/// Builds an .h5 file in memory. The same contents give the same bytes.
///
/// Every dataset gets an attribute "doppio_sha256": the SHA-256 of its values as they are stored,
/// in hexadecimal digits. The functions create the groups on the way; `path` must be new.
class Hdf5Writer {
 public:
  virtual ~Hdf5Writer() = default;

  virtual void write(const std::string& path, const Tensor& tensor) = 0;
  virtual void write_int(const std::string& path, int value) = 0;
  virtual void write_string(const std::string& path, const std::string& value) = 0;
  virtual void make_group(const std::string& path) = 0;

  /// Writes the file as a whole, by write_file_atomically(); without it there is none. Returns the
  /// file's SHA-256. No use after it.
  virtual std::string close() = 0;
};

/// An .h5 file whose datasets grow on the disk, so that they may be larger than the memory.
class Hdf5Appender {
 public:
  virtual ~Hdf5Appender() = default;

  /// Adds rows after those that the dataset has, or makes it, and flushes: `rows` may differ from
  /// one call to the next in its first axis only.
  virtual void append(const std::string& path, const Tensor& rows) = 0;
};

/// Opens for reading. Throws: Error if `file` is missing, is not HDF5, or this build has no HDF5.
std::unique_ptr<Hdf5Reader> open_hdf5(const std::string& file);

/// Begins a file that close() will write as `file`.
std::unique_ptr<Hdf5Writer> create_hdf5(const std::string& file);

/// Creates `file`, or empties it if it exists. Messages call it `shown_as`.
std::unique_ptr<Hdf5Appender> append_hdf5(const std::string& file, const std::string& shown_as);

}  // namespace doppio
