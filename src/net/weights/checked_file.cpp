#include "net/weights/checked_file.hpp"

#include <algorithm>
#include <streambuf>
#include <string_view>
#include <vector>

#include "doppio/error.hpp"
#include "io/atomic_file.hpp"
#include "io/regular_file.hpp"
#include "io/sha256.hpp"
#include "net/format/wire.hpp"

namespace doppio {

namespace {

constexpr std::size_t kPiece = std::size_t{1} << 18;  // small enough for the cache

/// Hashes the bytes that it writes to the next buffer.
class HashingBuffer final : public std::streambuf {
 public:
  HashingBuffer(std::streambuf& next, Sha256& sha) : next_(next), sha_(sha) {}

 protected:
  std::streamsize xsputn(const char* bytes, std::streamsize count) override {
    std::streamsize done = 0;
    while (done < count) {
      const std::streamsize piece = std::min<std::streamsize>(count - done, kPiece);
      sha_.update(bytes + done, static_cast<std::size_t>(piece));
      const std::streamsize passed = next_.sputn(bytes + done, piece);
      done += passed;
      if (passed < piece) break;
    }
    return done;
  }

  int_type overflow(int_type c) override {
    const char byte = traits_type::to_char_type(c);
    return xsputn(&byte, 1) == 1 ? c : traits_type::eof();
  }

 private:
  std::streambuf& next_;
  Sha256& sha_;
};

std::string head() { return wire::head(kChecksumField, 0); }
std::string tail() { return wire::head(kChecksumField, Sha256::kBytes); }

}  // namespace

std::string write_checked_file(const std::string& file,
                               const std::function<void(std::ostream&)>& write) {
  Sha256 sha;
  write_file_atomically(file, [&](std::ostream& out) {
    HashingBuffer buffer(*out.rdbuf(), sha);
    std::ostream hashed(&buffer);
    hashed << head();
    write(hashed);
    hashed << tail();
    hashed << sha.digest();
    out.setstate(hashed.rdstate());
  });
  return sha.hex();
}

std::string check_file(const std::string& file) {
  const RegularFile in(file);
  std::vector<char> piece(kPiece);
  const auto read = [&](std::uint64_t at, std::uint64_t most) {
    const auto bytes = static_cast<std::size_t>(std::min<std::uint64_t>(most, kPiece));
    require(in.read_at(at, piece.data(), bytes) == bytes, file, " was cut short while it was read");
    return std::string_view(piece.data(), bytes);
  };
  const bool checked = in.size() >= head().size() && read(0, head().size()) == head();
  const std::uint64_t digest = checked ? Sha256::kBytes : 0;
  const std::uint64_t end = in.size() - std::min(digest, in.size());
  Sha256 sha;
  for (std::uint64_t at = 0; at < end;) {
    const std::string_view bytes = read(at, end - at);
    sha.update(bytes.data(), bytes.size());
    at += bytes.size();
  }
  if (checked) {
    const std::string computed = sha.digest();
    const std::string_view stored = read(end, in.size() - end);
    require(
        stored == computed, file,
        " is damaged: its contents differ from its checksum, so it was cut short or changed after "
        "it was written; use another copy, or an earlier snapshot");
    sha.update(stored.data(), stored.size());
  }
  return sha.hex();
}

}  // namespace doppio
