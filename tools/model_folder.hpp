#pragma once
#include <string>
#include <vector>

namespace doppio {

/// Returns the folder of the nets that come with Doppio, share/doppio/models beside the program's
/// folder. Throws: Error if it does not exist.
std::string models_folder();

/// Returns the names of these nets, sorted.
std::vector<std::string> model_names();

}  // namespace doppio
