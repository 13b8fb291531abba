#pragma once

namespace doppio {

/// Opens those of the descriptors 0 to 2 that are closed, so that using them fails: otherwise the
/// next file that is opened, such as a database, would get what is printed. Call it first.
void open_standard_streams();

/// Writes out what was printed by std::cout and printf. Returns false if its reader has ended, as
/// that of a pipe may. Throws: Error if some of it could not be written for another reason.
bool finish_output();

}  // namespace doppio
