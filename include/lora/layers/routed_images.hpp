#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include "lora/core/elementwise.hpp"
#include "lora/core/matrix.hpp"
#include "lora/core/scratch.hpp"
#include "lora/layers/routed_paths.hpp"

namespace lora {

/// The images of a mixed batch, those of each adapter as a batch of their own. An image is as many
/// neighbouring rows of a matrix as it has pixels; those of one adapter are copied together where
/// others lie between them. Working memory of one call; `paths`, of one row for each image, outlive
/// it.
template <class T, class Adapter = LoRAAdapter<T>>
class RoutedImages {
 public:
  using Entry = typename RoutedPaths<T, Adapter>::Entry;

  /// Makes room for `paths.groups().rows()` images.
  explicit RoutedImages(const RoutedPaths<T, Adapter>& paths)
      : paths_(paths),
        images_(scratch_.template take<Index>(paths.groups().rows())),
        is_routed_(scratch_.template take<char>(paths.groups().rows())) {}
  RoutedImages(const RoutedImages&) = delete;
  RoutedImages& operator=(const RoutedImages&) = delete;

  /// Calls use(entry, images) for each group of the routes, in their order, `entry` being null
  /// where the layer adds nothing to it, and at last for the images of no group.
  template <class Use>
  void for_each(const Use& use) {
    const RowGroups& groups = paths_.groups();
    std::fill_n(is_routed_, groups.rows(), char{0});
    for (const RowGroups::Run& group : groups.groups()) {
      for (Index i = 0; i < group.count; ++i) {
        images_[i] = groups.row(group.first + i);
        is_routed_[images_[i]] = 1;
      }
      use(paths_.entry(static_cast<std::size_t>(group.group)), of(group.count));
    }
    Index others = 0;
    for (Index i = 0; i < groups.rows(); ++i)
      if (is_routed_[i] == 0) images_[others++] = i;
    use(static_cast<const Entry*>(nullptr), of(others));
  }

  /// Returns the rows of some images of m, `pixels` each: where they lie, or a copy in `scratch`.
  [[nodiscard]] static ConstMatrixRef<T> taken(const ConstMatrixRef<T>& m,
                                               std::span<const Index> images, Index pixels,
                                               Scratch& scratch) {
    const auto count = static_cast<Index>(images.size());
    if (neighbours(images)) return m.middleRows(first(images) * pixels, count * pixels);
    MatrixRef<T> copy = scratch.matrix<T>(count * pixels, m.cols());
    for_each_row(count, pixels * m.cols(), 1, [&](Index i) {
      copy.middleRows(i * pixels, pixels) =
          m.middleRows(images[static_cast<std::size_t>(i)] * pixels, pixels);
    });
    return copy;
  }

  /// Returns room for these rows of m: where they lie, or in `scratch`, from where `put` takes
  /// them.
  [[nodiscard]] static MatrixRef<T> room(MatrixRef<T> m, std::span<const Index> images,
                                         Index pixels, Scratch& scratch) {
    const auto rows = static_cast<Index>(images.size()) * pixels;
    if (neighbours(images)) return m.middleRows(first(images) * pixels, rows);
    return scratch.matrix<T>(rows, m.cols());
  }

  /// Copies what was written to the room for these rows of m there, if it is elsewhere.
  static void put(const MatrixRef<T>& room, std::span<const Index> images, Index pixels,
                  MatrixRef<T> m) {
    if (neighbours(images)) return;
    for_each_row(static_cast<Index>(images.size()), pixels * m.cols(), 1, [&](Index i) {
      MatrixRef<T> to = m;
      to.middleRows(images[static_cast<std::size_t>(i)] * pixels, pixels) =
          room.middleRows(i * pixels, pixels);
    });
  }

 private:
  [[nodiscard]] std::span<const Index> of(Index count) const {
    return {images_, static_cast<std::size_t>(count)};
  }

  [[nodiscard]] static Index first(std::span<const Index> images) {
    return images.empty() ? 0 : images.front();
  }

  [[nodiscard]] static bool neighbours(std::span<const Index> images) {
    for (std::size_t i = 1; i < images.size(); ++i)
      if (images[i] != images[i - 1] + 1) return false;
    return true;
  }

  Scratch scratch_;
  const RoutedPaths<T, Adapter>& paths_;
  Index* images_;
  char* is_routed_;
};

}  // namespace lora
