#include "data/convert/convert_idx.hpp"

#include <zlib.h>

#include <cstdint>
#include <cstdio>
#include <memory>

#include "data/image/image_file.hpp"
#include "data/storage/database.hpp"
#include "doppio.pb.h"
#include "doppio/error.hpp"
#include "io/file_kind.hpp"
#include "io/input_file.hpp"

namespace doppio {

namespace {

/// Reads a file sequentially, compressed or not.
class IdxFile {
 public:
  IdxFile(const std::string& name, std::uint32_t magic, const char* content)
      : name_(name), file_(gzdopen(open_file(name), "rb"), gzclose) {
    require(file_ != nullptr, "cannot open ", name, ": out of memory");
    char text[16];
    const std::uint32_t found = number();
    std::snprintf(text, sizeof text, "0x%08x", static_cast<unsigned>(found));
    require(found == magic, name, " is not an idx file of ", content, ": it begins with ", text,
            kind_hint(read_head(name, kHeadBytes)));
  }

  void read(char* out, std::size_t bytes) {
    require(gzread(file_.get(), out, static_cast<unsigned>(bytes)) == static_cast<int>(bytes),
            name_, " is truncated or damaged");
  }

  std::uint32_t number() {
    unsigned char b[4];
    read(reinterpret_cast<char*>(b), sizeof b);
    return std::uint32_t{b[0]} << 24 | std::uint32_t{b[1]} << 16 | std::uint32_t{b[2]} << 8 | b[3];
  }

  void require_end() {
    require(gzgetc(file_.get()) == -1, name_, " contains more than its header says");
  }

 private:
  std::string name_;
  std::unique_ptr<gzFile_s, int (*)(gzFile)> file_;
};

}  // namespace

StoredImages convert_idx(const IdxOptions& options) {
  IdxFile images(options.images, 0x00000803, "images");
  IdxFile labels(options.labels, 0x00000801, "labels");
  const Index count = images.number(), label_count = labels.number();
  const Index height = images.number(), width = images.number();
  require(count == label_count, options.images, " has ", count, " images and ", options.labels,
          " has ", label_count, " labels");
  require(count > 0, options.images, " has no images");
  require(height > 0 && width > 0 && height <= kMaxPixels / width, options.images, ": images of ",
          height, " x ", width, " pixels are not possible");

  const auto writer = make_database(options.database, backend_of(options.backend),
                                    options.overwrite ? IfThere::replace : IfThere::fail);
  StoredImages stored;
  try {
    Datum datum;
    datum.set_channels(1);
    datum.set_height(static_cast<int>(height));
    datum.set_width(static_cast<int>(width));
    std::string& pixels = *datum.mutable_data();
    for (Index i = 0; i < count; ++i) {
      pixels.resize(static_cast<std::size_t>(height * width));
      images.read(pixels.data(), pixels.size());
      char label = 0;
      labels.read(&label, 1);
      datum.set_label(static_cast<unsigned char>(label));
      char key[32];
      std::snprintf(key, sizeof key, "%08lld", static_cast<long long>(i));
      const std::string record = datum.SerializeAsString();
      writer->put(key, record);
      stored.add(datum.label(), {height, width}, record.size());
      if (options.progress && ((i + 1) % 1000 == 0 || i + 1 == count))
        options.progress(i + 1, count);
    }
    images.require_end();
    labels.require_end();
    writer->finish();
  } catch (...) {
    writer->discard();
    throw;
  }
  return stored;
}

}  // namespace doppio
