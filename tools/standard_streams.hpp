#pragma once

namespace doppio {

/// Opens those of the descriptors 0 to 2 that are closed, in a mode in which using them fails.
/// Otherwise output would go to the next file opened, such as a database. Call it first.
void open_standard_streams();

/// Flushes the output of std::cout and printf. Returns false if its reader, such as the other end
/// of a pipe, has closed it. Throws: Error if output could not be written for another reason.
bool finish_output();

}  // namespace doppio
