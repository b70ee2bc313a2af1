#include <lora/models/common/invocation.hpp>

#include "support/catch.hpp"

using namespace lora;
using namespace lora::models;

namespace {

// Which rows are the active adapter's.
std::vector<Index> invoked(const AdapterRoutes& routes) {
  CHECK(routes.layers_may_lack_adapters());
  std::vector<Index> rows;
  const auto layout = routes.layout();
  if (layout->names.empty()) return rows;
  CHECK(layout->names == std::vector<std::string>{active_adapters});
  const RowGroups::Run run = layout->groups.groups()[0];
  for (Index i = 0; i < run.count; ++i) rows.push_back(layout->groups.row(run.first + i));
  return rows;
}

}  // namespace

TEST_CASE("an adapter begins where a text has its tokens for the last time") {
  const Invocation invocation({7, 3});
  CHECK(invocation.exists());
  CHECK_FALSE(Invocation({}).exists());
  const std::vector<int> ids{7, 3, 1, 7, 3, 2, 7, 3, 7};
  CHECK(invocation.last_in(ids) == 6);
  CHECK_FALSE(invocation.last_in(std::vector<int>{3, 7}));
  Sequences texts;
  texts.set_packed(std::vector<int>{6, 1, 2});
  // The second text ends in the first of the tokens; texts do not see each other.
  const std::vector<int> three{7, 3, 1, 7, 3, 2, 7, 3, 7};
  const AdapterRoutes routes = invocation.rows(three, texts);
  CHECK(routes.rows() == 9);
  CHECK(invoked(routes) == std::vector<Index>{3, 4, 5});
}

TEST_CASE("texts go on with the adapter that was invoked in them, and tokens alone invoke none") {
  const Invocation invocation({7});
  KVCache<float> cache(1, 2, 20, 1);
  const auto step = [&](const std::vector<int>& ids, const std::vector<int>& counts) {
    const auto rows = invoked(invocation.rows(ids, counts, cache));
    invocation.mark(ids, counts, cache);
    cache.commit(counts);
    return rows;
  };
  CHECK(step({1, 7, 2, 5, 5}, {3, 2}) == std::vector<Index>{1, 2});
  CHECK(cache.marked(0) == 1);
  CHECK(cache.marked(1) == -1);
  CHECK(step({3, 7}, {1, 1}) == std::vector<Index>{0});
  CHECK(step({5, 7, 7}, {0, 3}) == std::vector<Index>{2});
  CHECK(step({5, 5}, {1, 1}) == std::vector<Index>{0, 1});
  // Back to before the place.
  cache.truncate(0, 2);
  CHECK(cache.marked(0) == 1);
  cache.truncate(0, 1);
  CHECK(cache.marked(0) == -1);
  cache.clear();
  CHECK(cache.marked(1) == -1);
  CHECK(step({7, 5}, {1, 1}) == std::vector<Index>{0});
}

TEST_CASE("a prompt that comes in parts has the adapter where the whole of it says") {
  const Invocation invocation({7, 3});
  KVCache<float> cache(1, 1, 20, 1);
  const std::vector<int> prompt{7, 3, 1, 7, 3, 2};
  invocation.expect(0, prompt, cache);
  CHECK(cache.marked(0) == 3);
  std::vector<Index> all;
  for (const int count : {2, 2, 1, 1}) {
    const auto first = static_cast<std::size_t>(cache.length(0));
    const std::vector<int> counts{count};
    const std::span<const int> ids(prompt.data() + first, static_cast<std::size_t>(count));
    for (const Index row : invoked(invocation.rows(ids, counts, cache)))
      all.push_back(cache.length(0) + row);
    invocation.mark(ids, counts, cache);
    cache.commit(counts);
  }
  CHECK(all == std::vector<Index>{3, 4, 5});
}
