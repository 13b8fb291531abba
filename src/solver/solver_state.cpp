#include "solver/solver_state.hpp"

#include <google/protobuf/text_format.h>

#include <filesystem>
#include <memory>

#include "data/storage/hdf5.hpp"
#include "doppio/error.hpp"
#include "net/format/blob_io.hpp"
#include "net/weights/checked_file.hpp"
#include "net/weights/weights_io.hpp"

namespace doppio {

namespace {

namespace fs = std::filesystem;

/// Dataset of a .solverstate.h5 for fields that Caffe's format lacks: a SolverState as text.
const char kExtra[] = "doppio";

SolverState read_hdf5(const std::string& file) {
  const std::unique_ptr<Hdf5Reader> in = open_hdf5(file);
  SolverState state;
  if (in->has(kExtra))
    require(google::protobuf::TextFormat::ParseFromString(in->read_string(kExtra), &state), file,
            ": dataset '", kExtra, "' is damaged");
  state.set_iter(in->read_int("iter"));
  state.set_current_step(in->has("current_step") ? in->read_int("current_step") : 0);
  if (in->has("learned_net")) state.set_learned_net(in->read_string("learned_net"));
  for (int i = 0; in->has(str("history/", i)); ++i) {
    Tensor history;
    in->read(str("history/", i), history, Hdf5Reader::Unwritten::error);
    write_blob(history, nullptr, *state.add_history());
  }
  return state;
}

void write_hdf5(const std::string& file, const SolverState& state,
                const std::vector<Tensor>& further) {
  const std::unique_ptr<Hdf5Writer> out = create_hdf5(file);
  out->write_int("iter", state.iter());
  out->write_int("current_step", state.current_step());
  out->write_string("learned_net", state.learned_net());
  out->make_group("history");
  for (int i = 0; i < state.history_size(); ++i) {
    Tensor history;
    history.reshape(stored_shape(state.history(i)));
    read_blob(state.history(i), history);
    out->write(str("history/", i), history);
  }
  for (std::size_t i = 0; i < further.size(); ++i)
    out->write(str("history/", static_cast<std::size_t>(state.history_size()) + i), further[i]);
  SolverState extra = state;
  extra.clear_history();
  std::string text;
  google::protobuf::TextFormat::PrintToString(extra, &text);
  out->write_string(kExtra, text);
  out->close();
}

bool is_state(const SolverState& state) { return state.has_iter() || state.history_size() > 0; }

}  // namespace

SolverState read_solver_state(const std::string& file) {
  std::error_code unknown;
  require(fs::exists(file, unknown), "cannot open ", file, ": there is no such file");
  const std::string name = fs::path(file).filename();
  require(!name.ends_with(".caffemodel") && !name.ends_with(".caffemodel.h5"), file,
          " holds weights, not the state of a solver: start from it with --weights, or give the "
          ".solverstate beside it to continue the run");
  if (is_hdf5(file)) return read_hdf5(file);
  SolverState state;
  require(parse_binary_file(file, state) && is_state(state), file,
          " is not a .solverstate, or cut short; if it holds weights, use --weights");
  return state;
}

void write_solver_state(const std::string& file, const SolverState& state,
                        const std::vector<Tensor>& history) {
  if (file.ends_with(".h5")) return write_hdf5(file, state, history);
  std::uint64_t bytes = state.ByteSizeLong();
  for (const Tensor& h : history)
    bytes += blob_field_bytes(SolverState::kHistoryFieldNumber, h, nullptr);
  require_protobuf_size(file, bytes);
  write_checked_file(file, [&](std::ostream& out) {
    state.SerializePartialToOstream(&out);
    for (const Tensor& h : history)
      write_blob_field(SolverState::kHistoryFieldNumber, h, nullptr, out);
  });
}

}  // namespace doppio
