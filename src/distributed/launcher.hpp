#pragma once
#include <memory>
#include <string>

#include "distributed/transport.hpp"

namespace doppio {

/// A launcher, such as mpirun or srun, that has started this process as one of several.
struct Launcher {
  std::string name;    ///< of the MPI library that it belongs to: "Open MPI" or "MPICH"
  std::string module;  ///< file name of the module for that library
  int size = 1;        ///< processes that it has started
};

/// Returns the launcher that this process's environment names. `module` is empty, and `size` 1, if
/// there is none. Throws: Error if Slurm has started several tasks without an MPI plugin, so that
/// they would not find each other.
Launcher find_launcher();

/// Loads the launcher's module and connects to the other processes. Throws: Error that names the
/// remedy if this build or this machine lacks the MPI library.
std::unique_ptr<Transport> connect(const Launcher& launcher);

}  // namespace doppio
