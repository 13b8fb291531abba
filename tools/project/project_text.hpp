#pragma once
#include <string>

#include "tools/project/like_net.hpp"
#include "tools/project/picture_folder.hpp"

namespace doppio {

// The texts that `doppio new` writes.

/// Comments at the top of train_val.prototxt and solver.prototxt.
std::string net_comment(const LikeNet& like, const Target& target);
std::string solver_comment(const LikeNet& like, const Target& target);

/// README.md of the folder. `command_line` is that of `doppio new`.
std::string readme_text(const LikeNet& like, const Target& target, const PictureSet& pictures,
                        const std::vector<std::string>& command_line);

/// What was made and the next command, for the terminal.
std::string summary_text(const LikeNet& like, const Target& target, const PictureSet& pictures,
                         const SolverParameter& solver);

}  // namespace doppio
