#include <lora/adapters/combine_factors.hpp>

#include <limits>

#include "support/golden.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

// The three adapters of make_golden_combine.py.
struct GoldenTerms {
  Golden<double> golden{"combine_f64"};
  std::vector<LowRankTerm<double>> all{{golden["x.a"], golden["x.b"], 6.0 / 3, 0.7},
                                       {golden["y.a"], golden["y.b"], 4.5 / std::sqrt(3.0), -1.3},
                                       {golden["z.a"], golden["z.b"], 5.0 / 2, 0.4}};

  [[nodiscard]] FactorPair<double> combine(const CombineOptions& options,
                                           std::ptrdiff_t count) const {
    return combine_factors<double>({all.begin(), all.begin() + count}, options);
  }
};

// PEFT keeps the weights in float32.
constexpr double peft_rounding = 2e-6;

std::vector<LowRankTerm<double>> terms_of(const std::vector<Matrix<double>>& factors) {
  std::vector<LowRankTerm<double>> terms;
  for (std::size_t i = 0; i < factors.size(); i += 2)
    terms.push_back({factors[i], factors[i + 1], 0.5, i == 0 ? 1.0 : -2.0});
  return terms;
}

}  // namespace

TEST_CASE("every type makes what PEFT makes") {
  using enum CombinationType;
  const GoldenTerms terms;
  const auto factors = [&](const std::string& name, const CombineOptions& options,
                           std::ptrdiff_t n) {
    CAPTURE(name);
    const FactorPair<double> made = terms.combine(options, n);
    CHECK(largest_difference(made.a, terms.golden[name + ".a"]) < peft_rounding);
    CHECK(largest_difference(made.b, terms.golden[name + ".b"]) < peft_rounding);
  };
  const auto product = [&](const std::string& name, const CombineOptions& options) {
    CAPTURE(name);
    const FactorPair<double> made = terms.combine(options, 3);
    CHECK(made.a.rows() == options.svd_rank.value_or(3));
    CHECK(largest_difference(made.b * made.a, terms.golden[name]) < peft_rounding);
  };
  factors("cat", {.combination_type = cat}, 3);
  factors("linear", {.combination_type = linear}, 2);
  factors("magnitude_prune", {.combination_type = magnitude_prune, .density = 0.4}, 2);
  factors("dare_linear", {.combination_type = dare_linear, .density = 1}, 2);
  product("svd", {});
  product("svd_rank_5", {.svd_rank = 5});
  product("magnitude_prune_svd", {.combination_type = magnitude_prune_svd, .density = 0.4});
  product("dare_linear_svd", {.combination_type = dare_linear_svd, .density = 1});
  for (const auto& [sign, name] : {std::pair(MajoritySign::total, ".total"),
                                   std::pair(MajoritySign::frequency, ".frequency")}) {
    const std::string end = name;
    const auto with = [&, s = sign](CombinationType type, double density) {
      return CombineOptions{
          .combination_type = type, .density = density, .majority_sign_method = s};
    };
    factors("ties" + end, with(ties, 0.4), 2);
    factors("dare_ties" + end, with(dare_ties, 1), 2);
    product("ties_svd" + end, with(ties_svd, 0.4));
    product("dare_ties_svd" + end, with(dare_ties_svd, 1));
  }
}

TEST_CASE("a clamp applies to the factors of svd") {
  const GoldenTerms terms;
  FactorPair<double> expected = terms.combine({.svd_rank = 5}, 3);
  clamp_to_quantile(expected, 0.9);
  const auto made = terms.combine({.svd_rank = 5, .svd_clamp = 0.9}, 3);
  CHECK(same_bits(made.a, expected.a));
  CHECK(same_bits(made.b, expected.b));
}

TEST_CASE("cat is the sum exactly, and svd of the sum of the ranks is too") {
  using enum CombinationType;
  const GoldenTerms terms;
  Matrix<double> sum = Matrix<double>::Zero(7, 10);
  for (const auto& term : terms.all) sum += term.weight * term.scaling * term.b * term.a;
  for (const CombineOptions& options :
       {CombineOptions{.combination_type = cat}, CombineOptions{.svd_rank = 8}}) {
    const auto made = terms.combine(options, 3);
    CHECK(made.a.rows() == 8);
    CHECK(largest_difference(made.b * made.a, sum) < 1e-12);
  }
  // An adapter less itself is nothing.
  std::vector<LowRankTerm<double>> same{terms.all[0], terms.all[0]};
  same[1].weight = -same[1].weight;
  const auto nothing = combine_factors<double>(same);
  CHECK((nothing.b * nothing.a).cwiseAbs().maxCoeff() < 1e-14);
}

TEST_CASE("the dare types draw by seed and substream, with the same bits for any threads") {
  using enum CombinationType;
  const std::vector<Matrix<double>> factors{
      random_matrix<double>(4, 30, 1), random_matrix<double>(20, 4, 2),
      random_matrix<double>(4, 30, 3), random_matrix<double>(20, 4, 4)};
  const auto terms = terms_of(factors);
  const auto made = [&](CombinationType type, std::uint64_t seed, std::uint64_t substream,
                        int threads) {
    const Threads set(threads);
    return combine_factors<double>(terms, {.combination_type = type, .density = 0.5, .seed = seed},
                                   substream);
  };
  for (const CombinationType type : {dare_linear, dare_ties, dare_linear_svd, dare_ties_svd}) {
    const auto first = made(type, 1, 2, 1);
    CHECK(same_bits(first.a, made(type, 1, 2, 4).a));
    CHECK(same_bits(first.b, made(type, 1, 2, 4).b));
    CHECK_FALSE(same_bits(first.a, made(type, 2, 2, 1).a));
    CHECK_FALSE(same_bits(first.a, made(type, 1, 3, 1).a));
  }
  // A and B, and the adapters, are pruned apart from each other.
  const Matrix<double> ones = Matrix<double>::Ones(5, 5);
  const std::vector<Matrix<double>> equal{ones, ones, ones, ones};
  const auto one = combine_factors<double>({terms_of(equal)[0]},
                                           {.combination_type = dare_linear, .density = 0.5});
  CHECK_FALSE(same_bits(one.a, one.b));
  std::vector<LowRankTerm<double>> pair{terms_of(equal)[0], terms_of(equal)[0]};
  pair[1].weight = -1;
  const auto two = combine_factors<double>(pair, {.combination_type = dare_linear, .density = 0.5});
  CHECK_FALSE(two.a.isZero(0));
}

TEST_CASE("ranks beyond the module's sizes are filled up with zeros") {
  using enum CombinationType;
  const std::vector<Matrix<double>> factors{random_matrix<double>(5, 3, 1),
                                            random_matrix<double>(4, 5, 2)};
  for (const CombineOptions& options :
       {CombineOptions{}, CombineOptions{.combination_type = ties_svd, .density = 1}}) {
    const auto made = combine_factors<double>(terms_of(factors), options);
    REQUIRE(made.a.rows() == 5);
    CHECK(largest_difference(made.b * made.a, 0.5 * factors[1] * factors[0]) < 1e-5);
  }
}

TEST_CASE("terms that do not go together are refused by their place") {
  using enum CombinationType;
  const Matrix<double> a = random_matrix<double>(2, 6, 1), b = random_matrix<double>(4, 2, 2);
  const Matrix<double> a3 = random_matrix<double>(3, 6, 1), b3 = random_matrix<double>(4, 3, 2);
  using Terms = std::vector<LowRankTerm<double>>;
  const auto combined = [](const Terms& terms, CombinationType type = svd) {
    const auto density = uses_density(type) ? std::optional(0.5) : std::nullopt;
    static_cast<void>(
        combine_factors<double>(terms, {.combination_type = type, .density = density}));
  };
  check_throws<ConfigError>([&] { combined({}); }, "combine_factors: there is no adapter");
  check_throws<ShapeError>(
      [&] {
        combined({{a, b}, {a.leftCols(5), b}});
      },
      "adapter 1 is of (out, in) = (4, 5), expected (4, 6) as the first");
  check_throws<ShapeError>([&] { combined({{a, b}, {a3, b}}); }, "A and B of adapter 1 are");
  for (const CombinationType type : {linear, ties, dare_linear, dare_ties, magnitude_prune})
    check_throws<ShapeError>(
        [&] {
          combined({{a, b}, {a3, b3}}, type);
        },
        "adapter 1 has rank 3, expected 2 as the first");
  for (const CombinationType type : {cat, svd, ties_svd}) combined({{a, b}, {a3, b3}}, type);
  const double infinite = std::numeric_limits<double>::infinity();
  check_throws<ConfigError>(
      [&] {
        combined({{a, b}, {a, b, 1, infinite}});
      },
      "the weight of adapter 1 is inf");
  check_throws<ConfigError>([&] { combined({{a, b, infinite, 1}}); }, "the scaling of adapter 0");
  check_throws<ConfigError>([&] { combined({{a, b, 1e300, 1e300}}, cat); }, "is not finite");
}
