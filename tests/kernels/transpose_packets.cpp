#include <lora/kernels/pack.hpp>
#include <lora/kernels/transpose_packets.hpp>

#include "support/catch.hpp"

using namespace lora;

namespace {

// Transposes a square of Size numbers that are all different, where T has packets of that size.
template <class T, Index Size>
void check_transposed() {
  using Square = kernels::detail::FittingPacket<T, Size>;
  if constexpr (Square::size == Size) {
    CAPTURE(Size);
    Eigen::Matrix<T, int(Size), int(Size), Eigen::RowMajor> in, out;
    for (Index i = 0; i < in.size(); ++i) in.data()[i] = static_cast<T>(i);
    typename Square::type rows[Size];
    for (Index i = 0; i < Size; ++i)
      rows[i] = Eigen::internal::ploadu<typename Square::type>(in.row(i).data());
    kernels::transpose_packets<Size>(rows);
    for (Index i = 0; i < Size; ++i) Eigen::internal::pstoreu(out.row(i).data(), rows[i]);
    CHECK(out == in.transpose());
  }
}

}  // namespace

TEMPLATE_TEST_CASE("a square of packets is transposed in registers", "", float, double) {
  check_transposed<TestType, 2>();
  check_transposed<TestType, 4>();
  check_transposed<TestType, 8>();
  check_transposed<TestType, 16>();
}
