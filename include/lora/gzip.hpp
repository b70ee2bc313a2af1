#pragma once

// Images in files that gzip compressed (target lora::gzip, which needs zlib).

#include "lora/images/gzip/gzip_reader.hpp"
#include "lora/images/gzip/idx_gzip.hpp"
