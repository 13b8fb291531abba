#pragma once
#include <memory>
#include <string>
#include <vector>

#include "doppio/tensor.hpp"

namespace doppio {

/// True if this build reads and writes .h5 files.
bool built_with_hdf5();

/// True if `file` begins with HDF5's signature, whatever its name. Works in every build.
bool is_hdf5(const std::string& file);

/// An open .h5 file. Paths such as "data/conv1/0" name what is in it, with or without a first '/'.
///
/// All functions throw Error with the file and the path in it. Not for use from several threads at
/// once; two files in two threads are fine.
class Hdf5File {
 public:
  virtual ~Hdf5File() = default;

  /// True if there is a dataset or group at `path`.
  virtual bool has(const std::string& path) const = 0;
  /// Paths, relative to `group`, of all datasets in it and in the groups below, in alphabetical
  /// order. Empty if there is no such group.
  virtual std::vector<std::string> datasets(const std::string& group) const = 0;

  /// Shape of the dataset at `path`.
  virtual Shape shape(const std::string& path) const = 0;
  /// Reshapes `tensor` and reads integers or floating-point numbers of any width into it.
  virtual void read(const std::string& path, Tensor& tensor) const = 0;
  virtual int read_int(const std::string& path) const = 0;
  virtual std::string read_string(const std::string& path) const = 0;

  /// The writing functions create the groups on the way. `path` must be new, but for append().
  virtual void write(const std::string& path, const Tensor& tensor) = 0;
  /// Adds rows behind those that the dataset has, or makes it, and flushes: `rows` may differ from
  /// one call to the next in its first axis alone.
  virtual void append(const std::string& path, const Tensor& rows) = 0;
  virtual void write_int(const std::string& path, int value) = 0;
  virtual void write_string(const std::string& path, const std::string& value) = 0;
  virtual void make_group(const std::string& path) = 0;

  /// Flushes and closes, and reports what the destructor would have to swallow. No use after it.
  virtual void close() = 0;
};

/// Opens for reading. Throws: Error if `file` is missing, is not HDF5, or this build has no HDF5.
std::unique_ptr<Hdf5File> open_hdf5(const std::string& file);

/// Creates `file`, or empties it if it exists.
std::unique_ptr<Hdf5File> create_hdf5(const std::string& file);

}  // namespace doppio
