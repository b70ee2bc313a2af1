#pragma once

// Decoded images: their size and numbers as models want them, and readers of files that need no
// decoder (target lora::io).

#include "lora/images/augment.hpp"
#include "lora/images/cifar.hpp"
#include "lora/images/crop.hpp"
#include "lora/images/idx.hpp"
#include "lora/images/image.hpp"
#include "lora/images/labelled_images.hpp"
#include "lora/images/ppm.hpp"
#include "lora/images/preprocessing.hpp"
#include "lora/images/resize.hpp"
#include "lora/images/resize_filter.hpp"
