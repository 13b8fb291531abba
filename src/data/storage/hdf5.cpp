#include "data/storage/hdf5.hpp"

#include <cstring>

#include "doppio/error.hpp"
#include "io/regular_file.hpp"

namespace doppio {

bool is_hdf5(const std::string& file) try {
  constexpr char kSignature[] = "\x89HDF\r\n\x1a\n";
  const RegularFile in(file);
  char head[8] = {};
  // A user block, as in MATLAB's files, moves the signature to 512, 1024, 2048 ...
  for (std::uint64_t at = 0; at < in.size(); at = at == 0 ? 512 : 2 * at)
    if (in.read_at(at, head, sizeof head) == sizeof head &&
        std::memcmp(head, kSignature, sizeof head) == 0)
      return true;
  return false;
} catch (const Error&) {
  return false;
}

#ifdef DOPPIO_HDF5

bool built_with_hdf5() { return true; }

#else

bool built_with_hdf5() { return false; }

namespace {

[[noreturn]] void refuse(const std::string& file) {
  throw Error(str(file, ": this build of Doppio has no HDF5; install libhdf5-dev and build again"));
}

}  // namespace

std::unique_ptr<Hdf5Reader> open_hdf5(const std::string& file) { refuse(file); }
std::unique_ptr<Hdf5Writer> create_hdf5(const std::string& file) { refuse(file); }
std::unique_ptr<Hdf5Appender> append_hdf5(const std::string&, const std::string& shown_as) {
  refuse(shown_as);
}

#endif

}  // namespace doppio
