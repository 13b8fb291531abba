// Transport over MPI: one module for each MPI library, loaded by launcher.cpp.
#include <mpi.h>

#include <climits>
#include <string>
#include <vector>

#include "distributed/transport.hpp"
#include "doppio/error.hpp"

namespace doppio {

namespace {

void check(int status, const char* doing) {
  if (status == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(status, text, &length);
  throw Error(str("MPI, ", doing, ": ", text));
}

int byte_count(std::size_t bytes) {
  require(bytes <= INT_MAX, "a message of ", bytes, " bytes is too long for MPI");
  return static_cast<int>(bytes);
}

class MpiTransport final : public Transport {
 public:
  MpiTransport() {
    int level = 0;
    check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &level), "connecting");
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    require(level >= MPI_THREAD_FUNNELED, "this MPI library does not support threads");
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::string version() const override {
    char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int length = 0;
    MPI_Get_library_version(text, &length);
    const std::string all = text;
    std::string line = all.substr(0, all.find_first_of(",\n"));
    if (!line.starts_with("MPICH Version:")) return line;
    return "MPICH " + line.substr(line.find_first_not_of(" \t", 14));
  }

  Request send(int to, int tag, std::span<const std::byte> bytes) override {
    MPI_Request request;
    check(MPI_Isend(bytes.data(), byte_count(bytes.size()), MPI_BYTE, to, tag, MPI_COMM_WORLD,
                    &request),
          "sending");
    return started(request);
  }

  Request receive(int from, int tag, std::span<std::byte> bytes) override {
    MPI_Request request;
    check(MPI_Irecv(bytes.data(), byte_count(bytes.size()), MPI_BYTE, from, tag, MPI_COMM_WORLD,
                    &request),
          "receiving");
    return started(request);
  }

  Request all_reduce_sum(std::span<float> values) override {
    MPI_Request request;
    check(MPI_Iallreduce(MPI_IN_PLACE, values.data(), byte_count(values.size()), MPI_FLOAT, MPI_SUM,
                         MPI_COMM_WORLD, &request),
          "adding");
    return started(request);
  }

  void poll(std::vector<Request>& complete) override {
    if (requests_.empty()) return;
    places_.resize(requests_.size());
    int count = 0;
    check(MPI_Testsome(static_cast<int>(requests_.size()), requests_.data(), &count, places_.data(),
                       MPI_STATUSES_IGNORE),
          "waiting for messages");
    if (count <= 0) return;  // MPI_UNDEFINED if none is in flight
    for (int k = 0; k < count; ++k)
      complete.push_back(numbers_[static_cast<std::size_t>(places_[static_cast<std::size_t>(k)])]);
    // MPI has set the requests that are complete to null.
    std::size_t kept = 0;
    for (std::size_t i = 0; i < requests_.size(); ++i) {
      if (requests_[i] == MPI_REQUEST_NULL) continue;
      requests_[kept] = requests_[i];
      numbers_[kept++] = numbers_[i];
    }
    requests_.resize(kept);
    numbers_.resize(kept);
  }

  void finish() override {
    for (MPI_Request& request : requests_) {
      MPI_Cancel(&request);
      MPI_Request_free(&request);
    }
    requests_.clear();
    MPI_Finalize();
  }

  void abort(int exit_code) override { MPI_Abort(MPI_COMM_WORLD, exit_code); }

 private:
  Request started(MPI_Request request) {
    requests_.push_back(request);
    numbers_.push_back(next_);
    return next_++;
  }

  int rank_ = 0, size_ = 1;
  std::vector<MPI_Request> requests_;  // in flight
  std::vector<Request> numbers_;       // their numbers
  std::vector<int> places_;
  Request next_ = 0;
};

}  // namespace
}  // namespace doppio

/// Connects to the other processes that the launcher started. The result belongs to the caller.
extern "C" doppio::Transport* doppio_connect() { return new doppio::MpiTransport; }
