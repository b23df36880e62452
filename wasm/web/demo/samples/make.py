"""Makes the samples beside this file. They are kept, so that nothing of this is needed to build the demo.

    make.py [ESPEAK]    needs numpy, pillow and the program espeak-ng
"""

import subprocess
import sys
import wave
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).parent
SAMPLE_RATE_HZ = 16_000


def main():
    till().save(HERE / "till.png", optimize=True)
    signs().save(HERE / "signs.png", optimize=True)
    write_sound(speech(sys.argv[1] if len(sys.argv) > 1 else "espeak-ng"), HERE / "speech.wav")


def font(size):
    return ImageFont.load_default(size=size)


def paste_turned(page, sheet, degrees, corner):
    """Puts a sheet onto a page, turned, its edges smooth."""
    large = sheet.convert("RGBA").resize((sheet.width * 2, sheet.height * 2), Image.Resampling.LANCZOS)
    turned = large.rotate(degrees, Image.Resampling.BICUBIC, expand=True)
    turned = turned.resize((turned.width // 2, turned.height // 2), Image.Resampling.LANCZOS)
    page.paste(turned, corner, turned)


def till():
    """A receipt on a table, not quite straight."""
    sheet = Image.new("RGB", (460, 640), "#fbfaf6")
    draw = ImageDraw.Draw(sheet)
    ink = "#26282c"
    draw.text((230, 62), "WICKERSHOP", font=font(42), fill=ink, anchor="mm")
    draw.text((230, 112), "Basket Lane 12", font=font(30), fill=ink, anchor="mm")
    rows = [("3 panniers", "81.00"), ("1 saddle strap", "14.50"), ("2 kg apples", "5.20"), ("Total", "100.70")]
    for number, (what, price) in enumerate(rows):
        y, size = 210 + 72 * number, 40 if what == "Total" else 32
        draw.text((36, y), what, font=font(size), fill=ink, anchor="lm")
        draw.text((424, y), price, font=font(size), fill=ink, anchor="rm")
    draw.line((36, 390, 424, 390), fill="#9a9a92", width=2)
    draw.text((230, 540), "Thank you, come again", font=font(30), fill=ink, anchor="mm")
    table = Image.new("RGB", (640, 800), "#5d4a3b")
    paste_turned(table, sheet, 5, (62, 56))
    return table.quantize(48, dither=Image.Dither.NONE)


def signs():
    """Signs, one of which hangs upside down and one askew."""
    page = Image.new("RGB", (960, 640), "#dfe8e4")
    for text, size, colours, box, degrees, corner in [
        ("WAY OUT", 72, ("#1f6f5c", "white"), (420, 130), 0, (60, 60)),
        ("Platform 9", 64, ("#f3c969", "#2b2208"), (430, 120), -14, (470, 190)),
        ("Turn me around", 52, ("#223047", "white"), (470, 110), 180, (60, 300)),
        ("Mind the gap between model and data", 36, ("#ffffff", "#1c2321"), (760, 90), 0, (100, 500)),
    ]:
        ground, ink = colours
        sign = Image.new("RGB", box, ground)
        ImageDraw.Draw(sign).text((box[0] / 2, box[1] / 2), text, font=font(size), fill=ink, anchor="mm")
        paste_turned(page, sign, degrees, corner)
    return page.quantize(48, dither=Image.Dither.NONE)


def speech(espeak):
    """Hiss, a voice, three beeps, another voice, hiss: two of the five are speech."""
    random = np.random.default_rng(1)
    beep = 0.25 * np.sin(2 * np.pi * 880 * np.arange(int(0.16 * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ)
    beep *= np.hanning(len(beep)) ** 0.3
    parts = [
        silence(0.9),
        say(espeak, "en-us+f3", "Pack a model once."),
        silence(0.45),
        *[part for _ in range(3) for part in (beep, silence(0.12))],
        silence(0.35),
        say(espeak, "en-gb-x-rp+m3", "Carry it anywhere."),
        silence(0.9),
    ]
    samples = np.concatenate(parts)
    hiss = random.normal(0, 0.012, len(samples))
    return np.clip(samples + hiss, -1, 1)


def silence(seconds):
    return np.zeros(int(seconds * SAMPLE_RATE_HZ))


def say(espeak, voice, text):
    """Samples of a voice, without the quiet around them."""
    output = subprocess.run([espeak, "-v", voice, "-s", "150", "--stdout", text], check=True, capture_output=True).stdout
    with wave.open(BytesIO(output)) as file:
        rate_hz = file.getframerate()
        heard = np.frombuffer(file.readframes(1 << 24), "<i2") / 32768
    loud = np.flatnonzero(np.abs(heard) > 0.01)
    heard = heard[loud[0] : loud[-1] + 1]
    times = np.arange(int(len(heard) * SAMPLE_RATE_HZ / rate_hz)) * rate_hz / SAMPLE_RATE_HZ
    return 0.7 * np.interp(times, np.arange(len(heard)), heard) / np.abs(heard).max()


def write_sound(samples, path):
    """8 bits are enough for this, and every browser reads them."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(np.round(samples * 127 + 128).astype(np.uint8).tobytes())


if __name__ == "__main__":
    main()
