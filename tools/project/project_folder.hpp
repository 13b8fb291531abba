#pragma once
#include <string>

namespace doppio {

/// Lets --model or --solver name a folder of the form that `doppio new` makes. If --model is a
/// folder, it becomes the file `net` in it; unless they are given, --weights becomes the weights of
/// the newest snapshot in it, and --labels its labels.txt, if it exists. Throws: Error if the
/// folder has no such net, or no weights.
void use_project_folder(const std::string& net);

/// Returns `path`/`name` if `path` is a folder, else `path`.
std::string file_in_folder(const std::string& path, const std::string& name);

}  // namespace doppio
