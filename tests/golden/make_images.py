"""Writes images.json: small images as files, and the pixels that Pillow reads in them.

Needs Pillow, NumPy, and libjpeg-turbo's cjpeg and jpegtran for what Pillow does not write. Run beside this file:
python3 make_images.py
"""

import base64
import io
import json
import subprocess

import numpy as np
from PIL import Image, ImageOps


def picture(width, height, channels):
    """Smooth enough to survive a JPEG, with no symmetry."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [
        127 + 90 * np.sin(x / 5 + 0.3 * c) * np.cos(y / (6 + c)) + 20 * (x > 2 * y) - 12 * c
        for c in range(channels)
    ]
    return np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)


def jpeg(image, **options):
    out = io.BytesIO()
    image.save(out, "JPEG", **options)
    return out.getvalue()


def run(command, data):
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def ppm(image):
    out = io.BytesIO()
    image.save(out, "PPM")
    return out.getvalue()


def as_rgb(data):
    """The same file with components called R, G and B, and no JFIF: its samples are then colours themselves."""
    assert data[2:4] == b"\xff\xe0"
    data = data[:2] + data[4 + int.from_bytes(data[4:6], "big"):]
    for marker, first, step in ((b"\xff\xc0", 10, 3), (b"\xff\xda", 5, 2)):
        at = data.index(marker)
        for i, letter in enumerate(b"RGB"):
            data = data[:at + first + step * i] + bytes([letter]) + data[at + first + step * i + 1:]
    return data


grey = Image.fromarray(picture(19, 13, 1)[..., 0])
colour = Image.fromarray(picture(21, 17, 3))
turned = Image.Exif()
turned[0x0112] = 6
files = {
    "grey": jpeg(grey, quality=90),
    "grey progressive": jpeg(grey, quality=90, progressive=True),
    # Restarts that do not divide the number of blocks.
    "grey restarted": run(["cjpeg", "-quality", "90", "-restart", "4B"], ppm(grey)),
    "colour": jpeg(colour, quality=90, subsampling=0),
    "colour progressive": jpeg(colour, quality=90, subsampling=0, progressive=True),
    "colour 4:2:2": jpeg(colour, quality=90, subsampling=1),
    "colour 4:2:0": jpeg(colour, quality=90, subsampling=2),
    "colour 4:2:0 progressive": jpeg(colour, quality=90, subsampling=2, progressive=True),
    "colour restarted": run(
        ["cjpeg", "-quality", "90", "-sample", "2x2", "-restart", "2B"], ppm(colour)
    ),
    "RGB": as_rgb(jpeg(colour, quality=90, subsampling=0)),
    "CMYK": jpeg(Image.fromarray(picture(21, 17, 4), "CMYK"), quality=90),
    "arithmetic": run(["cjpeg", "-quality", "90", "-arithmetic"], ppm(grey)),
    **{
        f"turned {n}": jpeg(grey, quality=90, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03"
                            + b"\0\0\0\x01" + bytes([0, n, 0, 0]) + b"\0\0\0\0")
        for n in range(2, 9)
    },
}


def entry(data):
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    except (OSError, SyntaxError):
        return {"file": base64.b64encode(data).decode(), "pixels": None}
    upright = ImageOps.exif_transpose(image)
    upright = upright if upright.mode == "L" else upright.convert("RGB")
    return {
        "file": base64.b64encode(data).decode(),
        "shape": list(np.atleast_3d(np.asarray(upright)).shape),
        "pixels": base64.b64encode(np.asarray(upright).tobytes()).decode(),
    }


resized = {}
ramp = Image.fromarray(picture(12, 8, 1)[..., 0].astype(np.float32))
for name, (size, method) in {
    "halved": ((6, 4), Image.BOX),
    "a third, a quarter": ((4, 2), Image.BOX),
    "doubled": ((24, 16), Image.BILINEAR),
    "17 x 11": ((17, 11), Image.BILINEAR),
}.items():
    made = np.asarray(ramp.resize(size, method))
    resized[name] = {"shape": list(made.shape), "values": [float(v) for v in made.ravel()]}

def saved(save, *args, **kwargs):
    out = io.BytesIO()
    save(out, *args, **kwargs)
    return base64.b64encode(out.getvalue()).decode()


photos = picture(4, 3, 6).reshape(3, 4, 2, 3).transpose(2, 0, 1, 3)
arrays = {
    "pixels": np.ascontiguousarray(photos.transpose(0, 3, 1, 2)).ravel().tolist(),
    "npz": saved(np.savez_compressed, images=photos, labels=np.array([1, 0])),
    "npy": saved(np.save, np.asfortranarray(photos / np.float32(255))),
}

with open("images.json", "w") as out:
    json.dump(
        {
            "jpeg": {name: entry(data) for name, data in files.items()},
            "source": np.asarray(ramp).astype(int).tolist(),
            "resized": resized,
            "arrays": arrays,
        },
        out,
        indent=2,
    )
    out.write("\n")
