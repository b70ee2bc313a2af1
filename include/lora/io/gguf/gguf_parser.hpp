#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/printable.hpp"
#include "lora/io/gguf/gguf_metadata.hpp"
#include "lora/io/gguf/gguf_type.hpp"
#include "lora/io/tensor_view.hpp"

namespace lora::io {

/// A tensor of a GGUF file: its shape in PyTorch's order, (out, in) for a weight, and its bytes,
/// which view the file.
struct GgufTensor {
  GgufType type = GgufType::F32;
  Shape shape = {};
  std::span<const std::byte> bytes = {};

  /// Returns the number of elements.
  [[nodiscard]] Index size() const {
    Index size = 1;
    for (const Index extent : shape) size *= extent;
    return size;
  }
};

/// What a GGUF file holds: metadata and tensors, by their names.
struct GgufContents {
  GgufMetadata metadata;
  std::map<std::string, GgufTensor, std::less<>> tensors;
};

namespace detail {

/// A strict parser of GGUF, versions 2 and 3: what llama.cpp or gguf-py refuse is refused. Time and
/// memory are linear in the file's size.
class GgufParser {
 public:
  GgufParser(std::span<const std::byte> file, std::string where)
      : file_(file), where_(std::move(where)), contents_{GgufMetadata(where_), {}} {}

  [[nodiscard]] GgufContents parse() {
    static_assert(std::endian::native == std::endian::little, "GGUF files are little-endian");
    if (file_.size() < 4 ||
        std::string_view(reinterpret_cast<const char*>(file_.data()), 4) != "GGUF")
      fail("does not begin with \"GGUF\"");
    at_ = 4;
    const auto version = number<std::uint32_t>("version");
    if (version != 2 && version != 3)
      fail(message("is of version ", version,
                   (version & 0xFFFFU) == 0 ? " (perhaps of the other byte order)" : "",
                   ", expected 2 or 3"));
    const std::uint64_t tensors = count("tensors", 24), keys = count("keys", 13);
    for (std::uint64_t i = 0; i < keys; ++i) parse_key();
    alignment_ = contents_.metadata.alignment();
    for (std::uint64_t i = 0; i < tensors; ++i) parse_tensor();
    place_tensors();
    return std::move(contents_);
  }

 private:
  struct Placed {
    std::string name;
    std::uint64_t offset;
    std::uint64_t size;
  };

  [[noreturn]] void fail(const std::string& what) const { throw FileError(where_ + ": " + what); }

  [[nodiscard]] std::size_t left() const { return file_.size() - at_; }

  std::span<const std::byte> take(std::size_t size, const char* what) {
    if (size > left())
      fail(message("ends within ", what, ", at byte ", at_, ": it is cut off or damaged"));
    const auto bytes = file_.subspan(at_, size);
    at_ += size;
    return bytes;
  }

  template <class N>
  N number(const char* what) {
    return kernels::load<N>(take(sizeof(N), what).data());
  }

  // A number of things that take at least `least` bytes each: more than fit are not believed.
  std::uint64_t count(const char* what, std::uint64_t least) {
    const auto count = number<std::uint64_t>(what);
    if (count > left() / least)
      fail(message("says that it has ", count, " ", what, ", more than its ", file_.size(),
                   " bytes can hold"));
    return count;
  }

  std::string_view text(const char* what) {
    const std::uint64_t size = count(what, 1);
    const auto bytes = take(static_cast<std::size_t>(size), what);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  void parse_key() {
    const std::string key(text("a key"));
    if (key.empty()) fail("has an empty key");
    const auto type = number<std::uint32_t>("a value's type");
    if (!contents_.metadata.insert(key, value(type, key)))
      fail(message("has the key ", in_quotes(key), " twice"));
  }

  GgufValue value(std::uint32_t type, const std::string& key) {
    using Type = GgufValueType;
    const char* what = "a value";
    switch (static_cast<Type>(type)) {
      case Type::u8:
        return std::uint64_t{number<std::uint8_t>(what)};
      case Type::i8:
        return std::int64_t{number<std::int8_t>(what)};
      case Type::u16:
        return std::uint64_t{number<std::uint16_t>(what)};
      case Type::i16:
        return std::int64_t{number<std::int16_t>(what)};
      case Type::u32:
        return std::uint64_t{number<std::uint32_t>(what)};
      case Type::i32:
        return std::int64_t{number<std::int32_t>(what)};
      case Type::f32:
        return double{number<float>(what)};
      case Type::boolean:
        return number<std::uint8_t>(what) != 0;
      case Type::text:
        return text(what);
      case Type::array:
        return list(key);
      case Type::u64:
        return number<std::uint64_t>(what);
      case Type::i64:
        return number<std::int64_t>(what);
      case Type::f64:
        return number<double>(what);
    }
    fail(message("the value of ", in_quotes(key), " is of type ", type,
                 ", which GGUF does not have"));
  }

  GgufList list(const std::string& key) {
    const auto type = number<std::uint32_t>("a list's type");
    if (type == static_cast<std::uint32_t>(GgufValueType::array))
      fail(message("the value of ", in_quotes(key), " is a list of lists, which is not read"));
    constexpr std::uint64_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 0, 8, 8, 8};
    if (type >= std::size(sizes))
      fail(message("the value of ", in_quotes(key), " is a list of type ", type,
                   ", which GGUF does not have"));
    GgufList list{static_cast<GgufValueType>(type)};
    const std::uint64_t size = count("a list's elements", sizes[type]);
    if (list.type == GgufValueType::text) {
      for (std::uint64_t i = 0; i < size; ++i) list.texts.push_back(text("a text"));
      return list;
    }
    list.numbers.reserve(static_cast<std::size_t>(size));
    for (std::uint64_t i = 0; i < size; ++i)
      list.numbers.push_back(std::visit(
          []<class V>(const V& element) {
            if constexpr (std::is_arithmetic_v<V>)
              return static_cast<double>(element);
            else
              return 0.0;
          },
          value(type, key)));
    return list;
  }

  void parse_tensor() {
    const std::string name(text("a tensor's name"));
    const std::string what = "tensor " + in_quotes(name);
    if (name.size() > 63) fail(what + ": its name has more than 63 bytes");
    const auto dimensions = number<std::uint32_t>("a tensor's dimensions");
    if (dimensions > 4)
      fail(message(what, ": has ", dimensions, " dimensions, expected at most 4"));
    GgufTensor tensor;
    tensor.shape.resize(dimensions);
    Index size = 1;
    for (std::uint32_t i = 0; i < dimensions; ++i) {
      const auto extent = number<std::int64_t>("a tensor's dimensions");
      if (extent < 0 || (extent > 0 && size > std::numeric_limits<Index>::max() / 8 / extent))
        fail(message(what, ": dimension ", i, " is ", extent, ", which no tensor has"));
      size *= extent;
      tensor.shape[dimensions - 1 - i] = static_cast<Index>(extent);
    }
    // A name of its own: newer GCCs take the result for one that looks at a temporary.
    const std::string place = where_ + ": " + what;
    const GgufTypeInfo& info = gguf_type(number<std::uint32_t>("a tensor's type"), place);
    tensor.type = info.type;
    const Index row = dimensions == 0 ? 1 : tensor.shape.back();
    if (row % info.weights != 0)
      fail(message(what, ": its rows of ", row, " numbers are no whole blocks of ", info.weights,
                   " for ", info.name));
    const auto offset = number<std::uint64_t>("a tensor's offset");
    placed_.push_back({name, offset, static_cast<std::uint64_t>(size / info.weights * info.bytes)});
    if (!contents_.tensors.emplace(name, std::move(tensor)).second) fail("has " + what + " twice");
  }

  [[nodiscard]] std::uint64_t aligned(std::uint64_t at) const {
    return (at + alignment_ - 1) / alignment_ * alignment_;
  }

  // Tensors lie one behind the other, each where the last one's padding ends.
  void place_tensors() {
    const std::uint64_t begin = aligned(at_);
    std::uint64_t expected = 0;
    for (const Placed& placed : placed_) {
      const std::string what = "tensor " + in_quotes(placed.name);
      if (placed.offset != expected)
        fail(message(what, ": begins at offset ", placed.offset, ", expected ", expected));
      if (placed.size > file_.size() || begin > file_.size() - placed.size ||
          expected > file_.size() - placed.size - begin)
        fail(message(what, ": ends behind the file's ", file_.size(), " bytes: it is cut off"));
      contents_.tensors.find(placed.name)->second.bytes = file_.subspan(
          static_cast<std::size_t>(begin + expected), static_cast<std::size_t>(placed.size));
      expected = aligned(expected + placed.size);
    }
  }

  std::span<const std::byte> file_;
  std::string where_;
  std::size_t at_ = 0;
  std::uint64_t alignment_ = 32;
  std::vector<Placed> placed_;
  GgufContents contents_;
};

}  // namespace detail

/// Parses the bytes of a GGUF file, which must outlive what it returns. Throws FileError, beginning
/// with `where`, for whatever is wrong with them.
[[nodiscard]] inline GgufContents parse_gguf(std::span<const std::byte> bytes,
                                             const std::string& where) {
  return detail::GgufParser(bytes, where).parse();
}

}  // namespace lora::io
