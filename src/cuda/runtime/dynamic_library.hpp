#pragma once
#include <dlfcn.h>

#include <string>

#include "doppio/error.hpp"

namespace doppio::cuda {

#ifdef DOPPIO_EMULATED_CUDA

/// The emulated GPU's libraries are part of the program.
struct DynamicLibrary {
  explicit DynamicLibrary(const char* /*file*/) {}
  std::string why_not;
};
#define DOPPIO_LOAD(prefix, name) decltype(&prefix##name) name = &prefix##name

#else

/// A library that is loaded at run time, so that programs also run without it. It stays loaded.
struct DynamicLibrary {
  explicit DynamicLibrary(const char* file)
      : name(file), handle(dlopen(file, RTLD_NOW | RTLD_LOCAL)) {
    if (!handle) why_not = str(name, " was not found; LD_LIBRARY_PATH says where to look");
  }

  template <class Function>
  Function* find(const char* function) {
    void* const found = handle ? dlsym(handle, function) : nullptr;
    if (handle && !found) why_not = str("this ", name, " has no function ", function);
    return reinterpret_cast<Function*>(found);
  }

  std::string name;
  void* handle;
  std::string why_not;  ///< why it cannot be used; empty if it can
};
/// Declares, in a struct that derives from DynamicLibrary, a pointer to the library's function
/// prefix##name; null, with a reason in why_not, if the library has none.
#define DOPPIO_LOAD(prefix, name) \
  decltype(&prefix##name) name = find<decltype(prefix##name)>(#prefix #name)

#endif

}  // namespace doppio::cuda
