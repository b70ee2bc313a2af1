// Loads adapters that PEFT wrote, computes logits with them, and writes them back: the C++ side of
// tests/conformance/peft_roundtrip.py, which says what the arguments are. What is refused is told
// adapter by adapter, in OUTPUT/<adapter>/refused.txt.
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

#include <lora/models.hpp>

namespace fs = std::filesystem;
using namespace lora;

namespace {

Matrix<int> read_integers(const io::SafetensorsReader& file, const std::string& name) {
  return file.read<double>(name).cast<int>();
}

// Without a head, hidden states stand for logits.
template <class Model>
void round_trip(const fs::path& base, const text::TokenBatch& batch, const fs::path& from,
                const fs::path& to) {
  Model model(base, {.tuning = peft::read_peft_config(from)});
  model.load_adapter(from);
  Matrix<float> logits;
  model.forward(batch, logits);
  model.save_adapter(to);
  io::write_safetensors(to / "logits.safetensors", {io::make_tensor("logits", logits)});
}

void round_trip_of_task(const fs::path& base, const text::TokenBatch& batch, const fs::path& from,
                        const fs::path& to) {
  const std::string task = peft::read_peft_config(from).task_type;
  if (task == "TOKEN_CLS")
    round_trip<models::BertForTokenClassification<float>>(base, batch, from, to);
  else if (task == "FEATURE_EXTRACTION")
    round_trip<models::BertModel<float>>(base, batch, from, to);
  else
    round_trip<models::BertForSequenceClassification<float>>(base, batch, from, to);
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
    for (const auto& entry : fs::directory_iterator(argv[3])) {
      const fs::path to = fs::path(argv[4]) / entry.path().filename();
      try {
        round_trip_of_task(argv[1], batch, entry.path(), to);
      } catch (const FileError& error) {
        fs::create_directories(to);
        std::ofstream(to / "refused.txt") << error.what() << '\n';
      }
    }
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
