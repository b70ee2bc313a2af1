// Loads adapters that PEFT wrote, computes logits with them, and writes them back: the C++ side of
// tests/conformance/peft_roundtrip.py, which says what the arguments are. What is refused is told
// adapter by adapter, in OUTPUT/<adapter>/refused.txt.
#include <string>

#include "round_trip.hpp"

namespace fs = std::filesystem;
using namespace lora;

namespace {

Matrix<int> read_integers(const io::SafetensorsReader& file, const std::string& name) {
  return file.read<double>(name).cast<int>();
}

// Without a head, hidden states stand for logits.
void round_trip_of_task(const fs::path& base, const text::TokenBatch& batch, const fs::path& from,
                        const fs::path& to) {
  const peft::PeftConfig config = peft::read_peft_config(from);
  const auto round_trip = [&](auto model) { test::round_trip(std::move(model), batch, from, to); };
  if (config.task_type == "TOKEN_CLS")
    round_trip(models::BertForTokenClassification<float>(base, {.tuning = config}));
  else if (config.task_type == "FEATURE_EXTRACTION")
    round_trip(models::BertModel<float>(base, {.tuning = config}));
  else
    round_trip(models::BertForSequenceClassification<float>(base, {.tuning = config}));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: " << argv[0] << " BASE BATCH.safetensors ADAPTERS OUTPUT\n";
    return 2;
  }
  try {
    const io::SafetensorsReader file(argv[2]);
    const text::TokenBatch batch{read_integers(file, "ids"), read_integers(file, "type_ids"),
                                 read_integers(file, "attention_mask")};
    return test::for_each_case(argv[3], argv[4], [&](const fs::path& from, const fs::path& to) {
      round_trip_of_task(argv[1], batch, from, to);
    });
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
