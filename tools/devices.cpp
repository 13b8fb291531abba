// `doppio devices`: lists the compute devices of this machine.
#include <unistd.h>

#include <fstream>
#include <iostream>
#include <set>
#include <sstream>
#include <thread>

#include "doppio/context.hpp"
#include "doppio/error.hpp"
#include "tools/command.hpp"
#include "tools/flags.hpp"
#include "tools/setup.hpp"

namespace doppio {

namespace {

/// Returns the value of the first line "key : value" of /proc/cpuinfo, or "" if there is none.
std::string cpu_property(const std::string& key) {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with(key) && colon != line.npos) return line.substr(colon + 2);
  }
  return {};
}

/// Returns the CPU's instruction sets for which matrix products and convolutions have kernels.
std::string instruction_sets() {
  std::istringstream words(cpu_property("flags") + " " + cpu_property("Features"));
  std::set<std::string> present;
  for (std::string word; words >> word;) present.insert(word);
  std::string list;
  for (const char* set : {"sse4_1", "avx", "f16c", "fma", "avx2", "avx512f", "avx512bw",
                          "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16", "asimd", "sve"})
    if (present.contains(set)) list += (list.empty() ? "" : " ") + std::string(set);
  return list.empty() ? "unknown" : list;
}

int run(const Arguments&) {
  if (is_given("gpu")) gpu_numbers();  // accepted for Caffe's sake; all GPUs are listed
  constexpr double kGiB = 1024.0 * 1024 * 1024;
  const std::string model = cpu_property("model name");
  const double memory =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  std::cout.precision(3);
  std::cout << "CPU: " << (model.empty() ? "unknown model" : model) << '\n'
            << "  " << std::thread::hardware_concurrency() << " logical cores, " << memory / kGiB
            << " GiB of memory\n"
            << "  instruction sets: " << instruction_sets() << '\n';
  std::cout << "GPU: " << accelerator_support() << '\n';
  if (!built_with_cuda()) return kDone;
  const std::vector<AcceleratorInfo> gpus = list_accelerators();
  for (const AcceleratorInfo& gpu : gpus)
    std::cout << "GPU " << gpu.id << ": " << gpu.name << ", "
              << static_cast<double>(gpu.memory_bytes) / kGiB << " GiB, compute capability "
              << gpu.compute_capability << '\n';
  if (gpus.empty()) try {
      open_accelerator(0);
    } catch (const Error& e) {  // the message says why there is none
      std::cout << "  " << e.message() << '\n';
    }
  return kDone;
}

}  // namespace

Command devices_command() {
  return {.name = "devices",
          .summary = "show the CPU and the GPUs of this machine",
          .operands = "",
          .flags = {{"gpu=IDS", "accepted as in Caffe and not needed, because all GPUs are shown"}},
          .example = "doppio devices",
          .run = run,
          .aliases = {"device_query"}};
}

}  // namespace doppio
