#include <cstdio>
#include <filesystem>
#include <iostream>
#include <new>
#include <sstream>
#include <system_error>

#include "core/printable.hpp"
#include "tools/command.hpp"
#include "tools/interrupt.hpp"

namespace doppio {

void print_error(const Error& error, const std::string& prefix) {
  std::fflush(stdout);  // keeps stdout and stderr in order
  std::cerr << prefix << (error.where().file.empty() ? "doppio: error: " : "");
  std::istringstream lines(error.what());
  for (std::string line; std::getline(lines, line);)  // names may contain any bytes
    std::cerr << printable(line, line.max_size()) << '\n';
}

int report_exception(const std::string& prefix) {
  try {
    throw;
  } catch (const Interrupted& by) {
    std::cerr << prefix << "doppio: interrupted\n";
    end_by(by.signal);
  } catch (const UsageError& e) {
    print_error(e, prefix);
    return kUsage;
  } catch (const Error& e) {
    print_error(e, prefix);
  } catch (const std::bad_alloc&) {
    print_error(Error("out of memory; lower batch_size (`doppio plan` shows what a net needs)"),
                prefix);
  } catch (const std::length_error& e) {
    print_error(Error(str("a size is too large for memory (", e.what(), ")")), prefix);
  } catch (const std::filesystem::filesystem_error& e) {
    print_error(
        Error(str("cannot use '", printable(e.path1().string()), "': ", e.code().message())),
        prefix);
  } catch (const std::system_error& e) {
    print_error(Error(str("the system reports: ", e.what())), prefix);
  } catch (const std::exception& e) {
    std::cerr << prefix << "doppio: internal error: " << e.what() << '\n';
    return kInternal;
  }
  return kUserError;
}

const std::vector<Command>& commands() {
  static const std::vector<Command> all = {
      train_command(), test_command(),    classify_command(),         extract_command(),
      time_command(),  plan_command(),    convert_imageset_command(), convert_idx_command(),
      mean_command(),  upgrade_command(), layers_command(),           devices_command()};
  return all;
}

}  // namespace doppio
