#include "distributed/launcher.hpp"

#include <dlfcn.h>

#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "doppio/error.hpp"

namespace doppio {

namespace {

namespace fs = std::filesystem;

/// Returns the number in an environment variable; 0 if there is none.
int number_in(const char* variable) {
  const char* const text = std::getenv(variable);
  int number = 0;
  if (text) std::from_chars(text, text + std::string_view(text).size(), number);
  return number;
}

/// Returns the folder of this library, where the modules are, too.
fs::path own_folder() {
  Dl_info info{};
  static const char here = 0;
  ensure(::dladdr(&here, &info) != 0 && info.dli_fname, "dladdr cannot find this library");
  return fs::path(info.dli_fname).parent_path();
}

}  // namespace

Launcher find_launcher() {
  const int slurm = number_in("SLURM_NTASKS");
  if (const int size = number_in("OMPI_COMM_WORLD_SIZE"))
    return {"Open MPI", "libdoppio_openmpi.so", size};
  if (const int size = number_in("PMI_SIZE")) return {"MPICH", "libdoppio_mpich.so", size};
  if (std::getenv("PMIX_RANK")) return {"Open MPI", "libdoppio_openmpi.so", slurm};
  require(slurm <= 1 || !std::getenv("SLURM_STEP_ID") || number_in("SLURM_STEP_NUM_TASKS") <= 1,
          "Slurm has started ", slurm, " tasks that cannot find each other; start them with ",
          "srun --mpi=pmix (Open MPI) or --mpi=pmi2 (MPICH)");
  return {};
}

std::unique_ptr<Transport> connect(const Launcher& launcher) {
  const fs::path module = own_folder() / launcher.module;
  std::error_code unknown;
  require(fs::exists(module, unknown), "this process is one of ", launcher.size, " started by ",
          launcher.name, "'s launcher, but this build has no support for ", launcher.name,
          ": install its development package (libopenmpi-dev or libmpich-dev) and ",
          "build again, or start one process without the launcher");
  // Open MPI's own modules look for its symbols among the global ones.
  void* const library = ::dlopen(module.c_str(), RTLD_NOW | RTLD_GLOBAL);
  require(library != nullptr, "this process is one of ", launcher.size, " started by ",
          launcher.name, "'s launcher, but its library cannot be loaded: ", ::dlerror());
  const auto open = reinterpret_cast<Transport* (*)()>(::dlsym(library, "doppio_connect"));
  ensure(open != nullptr, "the MPI module has no function doppio_connect");
  std::unique_ptr<Transport> transport(open());
  require(launcher.size == 0 || transport->size() == launcher.size, "the launcher has started ",
          launcher.size, " processes, but ", launcher.name, " finds ", transport->size(),
          " of them; was another MPI library's launcher used?");
  return transport;
}

}  // namespace doppio
