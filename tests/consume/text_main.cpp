#include <lora/text.hpp>
#include <utility>
#include <vector>

int main() {
  const std::vector<std::pair<std::string, int>> tokens{{"[UNK]", 0}, {"hello", 1}, {"##s", 2}};
  const lora::text::BertTokenizer tokenizer(lora::text::WordPiece(tokens, {}), {}, {},
                                            lora::text::TokenTemplate::plain(), 0);
  return tokenizer.encode("H\u00e9llos").ids == std::vector<int>{1, 2} ? 0 : 1;
}
