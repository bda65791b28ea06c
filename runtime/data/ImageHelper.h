// ImageHelper: the Python text that `readImages` runs, carried inside the runner so that a trainer stays one file.
#pragma once

namespace peftrt {

constexpr const char *kImageHelper = R"PYTHON(
"""Images to pixels: reads a file's name (JSON) a line, and writes the pixel file of runtime/data/Images.cpp.

usage: images.py PREPROCESSOR_CONFIG CHANNELS HEIGHT WIDTH OUT < rows
Exit status 3: Pillow is not installed. 4: a file is no image, 5: an image has other channels or another size, 6: the config asks for
something else; the last line is the row's index, a tab, and why.
"""
import json
import os
import struct
import sys

try:
    from PIL import Image
except ImportError:
    sys.exit(3)

# What names the processor, or says how arrays are handed over.
IGNORED = {"image_processor_type", "feature_extractor_type", "processor_class", "_processor_class", "data_format", "input_data_format", "return_tensors", "device",
           "disable_grouping", "default_to_square", "crop_size", "pad_size", "image_seq_length"}
KNOWN = {"do_resize", "size", "resample", "do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std", "do_convert_rgb", "do_center_crop", "do_pad"}


def refuse(status, row, why):
    print(row, " ".join(str(why).split()), sep="\t", file=sys.stderr)
    sys.exit(status)


def read_config(path, channels, height, width):
    try:
        with open(path) as file:
            config = json.load(file)
    except ValueError as error:
        refuse(6, 0, f"is not JSON: {error}")
    if not isinstance(config, dict):
        refuse(6, 0, "is not a JSON object")
    config = {key: value for key, value in config.items() if value is not None and key not in IGNORED}
    for key in config:
        if key not in KNOWN or (key in ("do_center_crop", "do_pad") and config[key]):
            refuse(6, 0, f"says `{key}`, which is not described here")
    if channels not in (1, 3):
        refuse(6, 0, f"is for images, and the model reads {channels} channels")
    resize, size = config.get("do_resize", True), config.get("size")
    if resize:
        sides = (size, size) if isinstance(size, int) else (size.get("height"), size.get("width")) if isinstance(size, dict) and set(size) == {"height", "width"} else None
        if sides is None:
            refuse(6, 0, f"has the size {json.dumps(size)}, where a height and a width are needed")
        if sides != (height, width):
            refuse(6, 0, f"makes images of {sides[0]} by {sides[1]}, the model reads {height} by {width}")
    normalize = config.get("do_normalize", True)
    mean, deviation = (config.get("image_mean"), config.get("image_std")) if normalize else ([0] * channels, [1] * channels)
    for name, value in (("image_mean", mean), ("image_std", deviation)):
        if not isinstance(value, list) or len(value) != channels or not all(isinstance(number, (int, float)) for number in value):
            refuse(6, 0, f"has no `{name}` of {channels} numbers")
    factor = config.get("rescale_factor", 1 / 255) if config.get("do_rescale", True) else 1
    return resize, config.get("resample", 2), config.get("do_convert_rgb", False), factor, mean, deviation


def main(config_path, channels, height, width, out):
    channels, height, width = int(channels), int(height), int(width)
    resize, resample, convert, factor, mean, deviation = read_config(config_path, channels, height, width)
    mode = {1: "L", 3: "RGB"}[channels]
    rows = 0
    with open(out, "wb") as file:
        file.write(bytes(8 + 32))
        file.write(struct.pack(f"<{1 + 2 * channels}d", factor, *mean, *deviation))
        for line in sys.stdin.buffer:
            try:
                image = Image.open(json.loads(line))
                image.load()
            except Exception as error:  # whatever a damaged file makes a decoder do
                refuse(4, rows, error)
            if convert:
                image = image.convert("RGB")
            if image.mode != mode:
                refuse(5, rows, f"has {len(image.getbands())} channels ({image.mode}), the model reads {channels} ({mode})")
            if resize:
                image = image.resize((width, height), resample=Image.Resampling(resample))
            elif image.size != (width, height):
                refuse(5, rows, f"is {image.size[1]} by {image.size[0]}, the model reads {height} by {width}")
            for band in image.split():
                file.write(band.tobytes())
            rows += 1
        file.seek(0)
        file.write(b"PEFTIMG1" + struct.pack("<4q", rows, channels, height, width))
        file.flush()
        os.fsync(file.fileno())


main(*sys.argv[1:6])
)PYTHON";

} // namespace peftrt
