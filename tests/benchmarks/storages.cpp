#include "benchmarks/storages/all_storages.hpp"

#include "benchmarks/storages/storage_times.hpp"
#include "support/catch.hpp"

using namespace lora;
using namespace lora::bench;

namespace {

const StorageUnderTest& found(const std::vector<StorageUnderTest>& storages, const char* name) {
  for (const StorageUnderTest& storage : storages)
    if (storage.name == name) return storage;
  FAIL("no storage " << name);
  return storages.front();
}

}  // namespace

TEST_CASE("storages under test say what a weight takes and what rounding it costs") {
  const Matrix<float> weight = filled(64, 256, 1);
  const auto storages = all_storages(weight);
  CHECK(storages.front().name == "float32");
  const auto bytes = [&](const char* name) { return found(storages, name).bytes_per_weight; };
  CHECK(bytes("float32") == 4);
  CHECK(bytes("bfloat16") == 2);
  CHECK(bytes("bfloat16 as in a file") == 2);
  CHECK(bytes("int8") == 1 + 4.0 / 256);
  CHECK(bytes("Q8_0") == 34.0 / 32);
  CHECK(bytes("Q6_K") == 210.0 / 256);
  CHECK(bytes("Q4_K") == 144.0 / 256);
  CHECK(bytes("NF4") == 0.5625);
  const auto error = [&](const char* name) { return found(storages, name).error.value(); };
  CHECK(error("float32") == 0);
  CHECK(error("bfloat16") == error("bfloat16 as in a file"));
  CHECK((error("bfloat16") > 1e-3 && error("bfloat16") < 4e-3));
  CHECK((error("Q8_0") > 1e-3 && error("Q8_0") < 1e-2));
  CHECK((error("NF4") > 0.05 && error("NF4") < 0.2));
  CHECK_FALSE(found(storages, "Q4_K").error.has_value());
}

TEST_CASE("storages under test compute both products with what they hold") {
  const Matrix<float> weight = filled(64, 256, 1), x = filled(3, 256, 1), dy = filled(3, 64, 1);
  for (const StorageUnderTest& storage : all_storages(weight)) {
    CAPTURE(storage.name);
    Matrix<float> y = Matrix<float>::Zero(3, 64), dx = Matrix<float>::Zero(3, 256);
    storage.add_product(x, y);
    storage.add_transposed_product(dy, dx);
    CHECK((y.allFinite() && dx.allFinite()));
    if (!storage.error) continue;
    // Rounding errors are as good as independent of x: they stay the share that they are of W.
    const double allowed = 3 * *storage.error + 1e-5;
    const Matrix<float> y_exact = x * weight.transpose(), dx_exact = dy * weight;
    CHECK((y - y_exact).norm() <= allowed * y_exact.norm());
    CHECK((dx - dx_exact).norm() <= allowed * dx_exact.norm());
  }
}

TEST_CASE("random blocks stand for finite numbers, not all the same") {
  const auto blocks = random_blocks<kernels::BlockQ6_K>(4, 512, {208});
  CHECK(blocks.size() == 4 * 2 * 210);
  const Matrix<float> weight =
      BlockWeight<float>(kernels::BlockFormat::Q6_K, blocks, 4, 512).dense();
  CHECK(weight.allFinite());
  CHECK(weight.maxCoeff() > 0.1F);
  CHECK(weight.minCoeff() < -0.1F);
}

TEST_CASE("storages are timed in turns, cold and hot") {
  const auto storages = all_storages(filled(64, 256, 1));
  CacheSweep sweep(1);
  for (CacheSweep* const each : {&sweep, static_cast<CacheSweep*>(nullptr)}) {
    const auto times = time_storages(storages, 2, 64, 256, 3, each);
    REQUIRE(times.size() == storages.size());
    for (const StorageTimes& time : times)
      for (const TurnTimes& turns : {time.forward, time.backward}) {
        REQUIRE(turns.seconds.size() == 3);
        CHECK(turns.fastest() > 0);
        CHECK(turns.fastest() <= turns.middle());
      }
  }
}
