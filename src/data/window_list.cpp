#include "data/window_list.hpp"

#include <cstdlib>
#include <fstream>

#include "doppio/error.hpp"

namespace doppio {

WindowList read_window_list(const std::string& file, float object_overlap,
                            float background_overlap) {
  std::ifstream in(file);
  require(in.good(), "cannot read the window file ", file);
  constexpr int kMaxCoordinate = 1 << 20;
  WindowList list;
  std::string hash, path;
  for (int index = 0; in >> hash >> index;) {
    const auto need = [&](bool ok, const char* what) {
      require(ok, file, ", image ", index, ": ", what);
    };
    int channels = 0, height = 0, width = 0, windows = 0;
    need(hash == "#", "it should begin with '#' and its number");
    need(bool(in >> path >> channels >> height >> width >> windows),
         "path, channels, height, width and number of windows are wanted");
    const auto image = static_cast<int>(list.images.size());
    list.images.push_back(path);
    for (int i = 0; i < windows; ++i) {
      Window w{.image = image};
      float overlap = 0;
      need(bool(in >> w.label >> overlap >> w.x1 >> w.y1 >> w.x2 >> w.y2),
           "a window is six numbers: label overlap x1 y1 x2 y2");
      for (const int v : {w.x1, w.y1, w.x2, w.y2})
        need(std::abs(v) <= kMaxCoordinate, "a corner lies too far out");
      if (overlap >= object_overlap) {
        need(w.label > 0, "an object needs a label above 0");
        list.objects.push_back(w);
      } else if (overlap < background_overlap) {
        w.label = 0;
        list.background.push_back(w);
      }
    }
  }
  require(in.eof(), file, ", behind image ", list.images.size(),
          ": it should go on with '#' and a number");
  require(!list.images.empty(), "the window file ", file, " is empty");
  return list;
}

}  // namespace doppio
