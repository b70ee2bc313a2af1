#!/usr/bin/env python3
"""Writes the golden files of tests/examples/images: small PNGs and JPEGs of every kind that the
example reads, and beside each the pixels that Pillow's convert("RGB") makes of it, as a PPM.

    python3 tests/golden/make_golden_photos.py

It needs Pillow and numpy; VERSIONS.txt says which.
"""

import pathlib
import shutil

import numpy
import PIL
from PIL import Image

HERE = pathlib.Path(__file__).parent / "photos"
HEIGHT, WIDTH = 19, 23


def picture(channels, seed):
    """Smooth colours with some noise, as photographs have them."""
    noise = numpy.random.default_rng(seed)
    y, x = numpy.mgrid[0:HEIGHT, 0:WIDTH]
    planes = [127 + 90 * numpy.sin(0.2 * (c + 1) * x + 0.15 * y) + noise.normal(0, 12, x.shape)
              for c in range(channels)]
    return numpy.clip(numpy.stack(planes, -1), 0, 255).astype(numpy.uint8)


def main():
    shutil.rmtree(HERE, ignore_errors=True)
    HERE.mkdir()
    rgb = Image.fromarray(picture(3, 1))
    grey = Image.fromarray(picture(1, 2)[..., 0])
    rgba = Image.fromarray(picture(4, 3))
    rgb.save(HERE / "rgb.png")
    grey.save(HERE / "grey.png")
    rgba.save(HERE / "rgba.png")
    rgb.quantize(13).save(HERE / "palette.png")
    grey.convert("1").save(HERE / "bits.png")
    Image.fromarray(numpy.stack([picture(1, 4)[..., 0], picture(1, 5)[..., 0]], -1), "LA").save(
        HERE / "grey_alpha.png")
    rgb.save(HERE / "420.jpg", subsampling=2)
    rgb.save(HERE / "444.jpg", subsampling=0, quality=95)
    rgb.save(HERE / "progressive.jpg", progressive=True)
    grey.save(HERE / "grey.jpg")
    Image.fromarray(picture(4, 6), "CMYK").save(HERE / "cmyk.jpg", quality=95)
    for path in sorted(HERE.iterdir()):
        Image.open(path).convert("RGB").save(HERE / (path.name + ".ppm"))
    (HERE / "VERSIONS.txt").write_text(f"Pillow {PIL.__version__}\nnumpy {numpy.__version__}\n")


if __name__ == "__main__":
    main()
