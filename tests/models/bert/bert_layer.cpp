#include <lora/frozen/packed_weight.hpp>
#include <lora/models/bert/bert_layer.hpp>

#include <type_traits>

#include "support/catch.hpp"

using namespace lora;

// Else the vector of layers would copy frozen weights when it grows.
static_assert(std::is_nothrow_move_constructible_v<models::BertLayer<float, PackedWeight<float>>>);
