#pragma once

// Text for language models (target lora::text, which needs utf8proc): the tokenizer of the BERT
// family, readers of labelled text, and the score of named entities.

#include "lora/text/added_token_json.hpp"
#include "lora/text/added_tokens.hpp"
#include "lora/text/bert_normalizer.hpp"
#include "lora/text/bert_tokenizer.hpp"
#include "lora/text/bert_tokenizer_config.hpp"
#include "lora/text/character_class.hpp"
#include "lora/text/decompose.hpp"
#include "lora/text/encoding.hpp"
#include "lora/text/file_text.hpp"
#include "lora/text/json_fields.hpp"
#include "lora/text/lines.hpp"
#include "lora/text/load_bert_tokenizer.hpp"
#include "lora/text/make_bert_tokenizer.hpp"
#include "lora/text/span.hpp"
#include "lora/text/template_json.hpp"
#include "lora/text/token_batch.hpp"
#include "lora/text/token_table.hpp"
#include "lora/text/token_template.hpp"
#include "lora/text/tokenizer_class.hpp"
#include "lora/text/tokenizer_json.hpp"
#include "lora/text/tokenizer_limit.hpp"
#include "lora/text/truncation.hpp"
#include "lora/text/unicode_versions.hpp"
#include "lora/text/utf8.hpp"
#include "lora/text/vocab_txt.hpp"
#include "lora/text/whitespace.hpp"
#include "lora/text/word_piece.hpp"

#include "lora/data/conll.hpp"
#include "lora/data/entity_tag.hpp"
#include "lora/data/labelled_sentences.hpp"
#include "lora/data/record_lines.hpp"

#include "lora/metrics/entity_score.hpp"
