#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lora/core/printable.hpp"
#include "lora/io/json.hpp"
#include "lora/io/safetensors/safetensors_limits.hpp"
#include "lora/io/tensor_view.hpp"

namespace lora::io {

/// What a safetensors header says; the views look at the bytes that it was read from.
struct SafetensorsHeader {
  std::map<std::string, std::string> metadata;
  std::map<std::string, TensorView> tensors;
};

namespace detail {

/// A reader of a header, field by field; `where` begins every message.
class SafetensorsHeaderReader {
 public:
  SafetensorsHeaderReader(std::span<const std::byte> file, const std::string& where)
      : file_(file), where_(where) {}

  SafetensorsHeader read() {
    const std::string_view text = header_text();
    if (text.empty() || text.front() != '{') fail("the header does not begin with {");
    const auto json = parse_json(text, where_, {.depth = 4});
    SafetensorsHeader header;
    for (const auto& [name, value] : json.items()) {
      if (name == "__metadata__")
        read_metadata(value, header.metadata);
      else
        header.tensors.emplace(name, read_tensor(name, value));
    }
    require_cover(header.tensors);
    return header;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw FileError(where_ + ": " + what); }

  std::string_view header_text() {
    std::uint64_t length = 0;
    if (file_.size() < sizeof(length))
      fail(message("is ", file_.size(), " bytes, expected at least 8"));
    std::memcpy(&length, file_.data(), sizeof(length));
    if (length > safetensors_header_limit)
      fail(message("the header's length is ", length, ", expected at most ",
                   safetensors_header_limit));
    if (length > file_.size() - sizeof(length))
      fail(message("the header's length is ", length, ", but only ", file_.size() - sizeof(length),
                   " bytes follow"));
    const auto size = static_cast<std::size_t>(length);
    data_ = file_.subspan(sizeof(length) + size);
    return {reinterpret_cast<const char*>(file_.data()) + sizeof(length), size};
  }

  void read_metadata(const Json& json, std::map<std::string, std::string>& metadata) const {
    if (!json.is_object()) fail("__metadata__ is not an object");
    for (const auto& [key, value] : json.items()) {
      if (!value.is_string()) fail("__metadata__ " + in_quotes(key) + " is not a string");
      metadata.emplace(key, value.get<std::string>());
    }
  }

  [[nodiscard]] const Json& field(const std::string& name, const Json& tensor,
                                  const char* key) const {
    const auto found = tensor.find(key);
    if (found == tensor.end()) fail("tensor " + in_quotes(name) + " has no " + key);
    return *found;
  }

  [[nodiscard]] TensorView read_tensor(const std::string& name, const Json& json) const {
    if (!json.is_object()) fail("tensor " + in_quotes(name) + " is not described by an object");
    const auto& dtype_name = field(name, json, "dtype");
    const auto dtype = dtype_name.is_string()
                           ? dtype_named(dtype_name.get_ref<const std::string&>())
                           : std::nullopt;
    if (!dtype) fail("tensor " + in_quotes(name) + ": unknown dtype " + excerpt(dtype_name));
    Shape shape = read_shape(name, field(name, json, "shape"));
    const std::uint64_t size = byte_size(name, *dtype, shape);

    const auto& offsets = field(name, json, "data_offsets");
    if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
        !offsets[1].is_number_unsigned())
      fail("tensor " + in_quotes(name) + ": data_offsets is " + excerpt(offsets) +
           ", expected [begin, end]");
    const auto begin = offsets[0].get<std::uint64_t>(), end = offsets[1].get<std::uint64_t>();
    if (begin > end || end > data_.size())
      fail(message("tensor ", in_quotes(name), ": data_offsets is [", begin, ", ", end,
                   "], expected within the ", data_.size(), " bytes of data"));
    if (end - begin != size)
      fail(message("tensor ", in_quotes(name), ": data_offsets span ", end - begin,
                   " bytes, expected ", size, " for ", name_of(*dtype), " ", shape_text(shape)));
    return {*dtype, std::move(shape),
            data_.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(size))};
  }

  [[nodiscard]] Shape read_shape(const std::string& name, const Json& json) const {
    const auto bad = [&] {
      fail("tensor " + in_quotes(name) + ": shape is " + excerpt(json) +
           ", expected a list of integers of at least 0");
    };
    if (!json.is_array()) bad();
    Shape shape;
    for (const auto& size : json) {
      if (!size.is_number_unsigned() ||
          size.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<Index>::max()))
        bad();
      shape.push_back(size.get<Index>());
    }
    return shape;
  }

  // The product in the order of the shape, each step checked: as the reference implementation.
  [[nodiscard]] std::uint64_t byte_size(const std::string& name, DType dtype,
                                        const Shape& shape) const {
    std::uint64_t bits = bits_of(dtype);
    for (const Index size : shape) {
      const auto factor = static_cast<std::uint64_t>(size);
      if (factor != 0 && bits > std::numeric_limits<std::uint64_t>::max() / factor)
        fail("tensor " + in_quotes(name) + ": the shape " + shape_text(shape) + " is too large");
      bits *= factor;
    }
    if (bits % 8 != 0) fail("tensor " + in_quotes(name) + ": its elements do not fill whole bytes");
    return bits / 8;
  }

  // Sorted by their place, the tensors follow each other without overlap or hole to the end.
  void require_cover(const std::map<std::string, TensorView>& tensors) const {
    struct Place {
      const std::byte* begin;
      const std::byte* end;
      const std::string* name;
    };
    std::vector<Place> places;
    places.reserve(tensors.size());
    for (const auto& [name, view] : tensors)
      places.push_back({view.bytes.data(), view.bytes.data() + view.bytes.size(), &name});
    std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
      return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
    });
    const std::byte* at = data_.data();
    for (const Place& place : places) {
      if (place.begin != at)
        fail(message("tensor ", in_quotes(*place.name), " begins at ", place.begin - data_.data(),
                     ", expected ", at - data_.data(),
                     ": tensors may neither overlap nor leave holes"));
      at = place.end;
    }
    if (at != data_.data() + data_.size())
      fail(message("the tensors end at ", at - data_.data(), ", but there are ", data_.size(),
                   " bytes of data"));
  }

  std::span<const std::byte> file_;
  const std::string& where_;
  std::span<const std::byte> data_;
};

}  // namespace detail

/// Reads the header of the safetensors file whose bytes are `file`, and checks all of it: every
/// tensor's dtype, shape and place, and that the tensors cover the data without overlap or hole.
/// Throws FileError, beginning with `where`; nothing is allocated from a size that was not checked.
[[nodiscard]] inline SafetensorsHeader read_safetensors_header(std::span<const std::byte> file,
                                                               const std::string& where) {
  return detail::SafetensorsHeaderReader(file, where).read();
}

}  // namespace lora::io
