#!/usr/bin/env python3
"""Writes the golden files of tests/images: what Pillow makes of small images in other sizes, and
what transformers' image processors make of them.

    python3 tests/golden/make_golden_images.py

resize.safetensors: "rgb" and "grey", and of each "NAME/FILTER/HEIGHTxWIDTH" for each of Pillow's
filters by number. preprocess.safetensors: "rgb" and "wide", and of each what
ConvNextImageProcessorPil and ViTImageProcessorPil give, one row a pixel. It needs numpy, Pillow,
torch, transformers and safetensors; VERSIONS.txt says which.
"""

import pathlib

import numpy
import PIL
from PIL import Image
from safetensors.numpy import save_file
import transformers
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

OUT = pathlib.Path(__file__).parent / "images"


def picture(random, height, width, channels):
    """Slopes, an edge and noise, up to both ends of the range."""
    y, x = numpy.mgrid[0:height, 0:width]
    planes = []
    for c in range(channels):
        plane = 140 + 90 * numpy.sin(x / (2 + c)) * numpy.cos(y / (3 + c))
        plane += numpy.where(x + c > y, 60, -60) + random.normal(0, 30, (height, width))
        planes.append(plane)
    image = numpy.stack(planes, axis=-1)
    return numpy.clip(image, 0, 255).astype(numpy.uint8)


def main():
    OUT.mkdir(exist_ok=True)
    random = numpy.random.default_rng(1)
    rgb, grey = picture(random, 23, 31, 3), picture(random, 19, 14, 1)
    tensors = {"rgb": rgb, "grey": grey}
    for name, image in [("rgb", rgb), ("grey", grey)]:
        pil = Image.fromarray(image if name == "rgb" else image[:, :, 0])
        for how in range(6):
            for height, width in [(11, 14), (40, 37), (23, 50), (1, 1), (5, 31)]:
                small = numpy.asarray(pil.resize((width, height), how))
                tensors[f"{name}/{how}/{height}x{width}"] = small.reshape(height, width, -1)
    save_file({k: numpy.ascontiguousarray(v) for k, v in tensors.items()}, OUT / "resize.safetensors")

    wide = picture(random, 41, 66, 3)
    tensors = {"rgb": rgb, "wide": wide}
    convnext = ConvNextImageProcessorPil(size={"shortest_edge": 30}, crop_pct=0.875)
    vit = ViTImageProcessorPil(size={"height": 17, "width": 24})
    for name, image in [("rgb", rgb), ("wide", wide)]:
        for kind, processor in [("convnext", convnext), ("vit", vit)]:
            pixels = processor(Image.fromarray(image), return_tensors="np")["pixel_values"][0]
            rows = numpy.ascontiguousarray(pixels.transpose(1, 2, 0).reshape(-1, 3))
            tensors[f"{name}/{kind}"] = rows.astype(numpy.float32)
    save_file(tensors, OUT / "preprocess.safetensors")
    (OUT / "VERSIONS.txt").write_text(
        f"Pillow {PIL.__version__}\nnumpy {numpy.__version__}\n"
        f"transformers {transformers.__version__}\n")


if __name__ == "__main__":
    main()
