#pragma once
#include <string>

#include "data/storage/lmdb.hpp"
#include "doppio.pb.h"
#include "doppio/error.hpp"

namespace doppio {

/// Makes an LMDB at `path` with records of 3 x side x side bytes, or of floats from number
/// `floats_from` on, labelled by their numbers modulo 7.
inline void write_records(const std::string& path, int records, int side, int floats_from) {
  LmdbWriter writer(path);
  for (int n = 0; n < records; ++n) {
    Datum datum;
    datum.set_channels(3);
    datum.set_height(side);
    datum.set_width(side);
    datum.set_label(n % 7);
    for (int i = 0; i < 3 * side * side; ++i) {
      const int value = (37 * n + 11 * i) % 256;
      if (n < floats_from)
        datum.mutable_data()->push_back(static_cast<char>(value));
      else
        datum.add_float_data(static_cast<float>(value));
    }
    writer.put(str("key", n / 10, n % 10), datum.SerializeAsString());
  }
  writer.finish();
}

}  // namespace doppio
