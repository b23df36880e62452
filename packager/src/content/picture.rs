//! Pictures (`.png`, `.jpg`) as image tensors.

use super::ContentError;
use image::{DynamicImage, ImageDecoder, ImageReader, RgbImage};
use pannier_bundle::manifest::{Colour, ImageAxes, ImageLayout, Resize};
use std::io::Cursor;

/// Most pixels of a picture, and of the tensor that is made of it.
pub const PIXELS: u64 = 1 << 26;

/// A picture's values as a model wants them.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// The values, in the order of the layout's axes.
    pub values: Vec<f32>,
    /// Channels: 3, or 1 for grey.
    pub channels: usize,
    /// Height of the tensor.
    pub height: usize,
    /// Width of the tensor.
    pub width: usize,
    /// Pixels of the file per pixel of the tensor, across: takes places in the answer back to the picture.
    pub scale_x: f64,
    /// The same downwards.
    pub scale_y: f64,
}

/// Decodes a picture and lays it out.
///
/// # Errors
/// [`ContentError::Malformed`]: neither PNG nor JPEG, or a damaged one. [`ContentError::TooLarge`]: more than `PIXELS`,
/// in the file or after resizing; nothing was decoded then.
pub fn picture(what: &str, bytes: &[u8], layout: &ImageLayout) -> Result<Picture, ContentError> {
    let image = decode(what, bytes)?;
    let (width, height) = target(what, layout.resize, image.width(), image.height())?;
    let resized = resize(&image, width.content, height);
    Ok(lay_out(&resized, width.tensor, layout, f64::from(image.width()), f64::from(image.height())))
}

fn decode(what: &str, bytes: &[u8]) -> Result<RgbImage, ContentError> {
    let wrong = |e: image::ImageError| ContentError::malformed(what, "picture", e);
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let mut decoder = reader.map_err(|e| ContentError::malformed(what, "picture", e))?.into_decoder().map_err(wrong)?;
    let (width, height) = decoder.dimensions();
    pixels(what, u64::from(width), u64::from(height))?;
    // Cameras store the picture as the sensor was held and say how to turn it.
    let orientation = decoder.orientation().map_err(wrong)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(wrong)?;
    image.apply_orientation(orientation);
    if !image.color().has_alpha() {
        return Ok(image.into_rgb8());
    }
    // On white, as viewers show it: what a transparent pixel's colour says is anything.
    let rgba = image.into_rgba8();
    Ok(RgbImage::from_fn(rgba.width(), rgba.height(), |x, y| {
        let [r, g, b, alpha] = rgba.get_pixel(x, y).0.map(u32::from);
        image::Rgb([r, g, b].map(|value| ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8))
    }))
}

fn pixels(what: &str, width: u64, height: u64) -> Result<(), ContentError> {
    let size = width.saturating_mul(height);
    if size == 0 {
        return Err(ContentError::malformed(what, "picture", format!("it is {width} x {height} pixels")));
    }
    if size > PIXELS {
        return Err(ContentError::TooLarge { what: what.to_owned(), size, limit: PIXELS, unit: "pixels" });
    }
    Ok(())
}

/// Width of a tensor and of the picture in it, the rest being filled.
struct Width {
    content: u32,
    tensor: u32,
}

/// Size in the tensor. The roundings are those of the published OCR pipelines, so that answers agree with theirs.
fn target(what: &str, resize: Resize, width: u32, height: u32) -> Result<(Width, u32), ContentError> {
    let ratio = f64::from(width) / f64::from(height);
    let (content, tensor, height) = match resize {
        Resize::Stretch { height, width } => (f64::from(width), f64::from(width), f64::from(height)),
        Resize::FitHeight { height, width, grow } => {
            let natural = f64::from(height) * ratio;
            let tensor = if grow { natural.floor().max(f64::from(width)) } else { f64::from(width) };
            (natural.ceil().min(tensor), tensor, f64::from(height))
        }
        Resize::Multiple { of, limit } => {
            let of = f64::from(of.max(1));
            let shrink = (f64::from(limit) / f64::from(width.max(height))).min(1.0);
            let side = |pixels: u32| ((f64::from(pixels) * shrink).floor() / of).round_ties_even().max(1.0) * of;
            (side(width), side(width), side(height))
        }
    };
    // In range: checked against the limit as the floating-point numbers they are.
    pixels(what, tensor as u64, height as u64)?;
    Ok((Width { content: content as u32, tensor: tensor as u32 }, height as u32))
}

/// Bilinear, sampling at pixel centres and rounding to bytes: OpenCV's `INTER_LINEAR`, which the published pipelines use.
fn resize(image: &RgbImage, width: u32, height: u32) -> RgbImage {
    if (width, height) == image.dimensions() {
        return image.clone();
    }
    let across = taps(image.width(), width);
    let down = taps(image.height(), height);
    RgbImage::from_fn(width, height, |x, y| {
        let ((left, right, fx), (top, bottom, fy)) = (across[x as usize], down[y as usize]);
        let at = |x, y| image.get_pixel(x, y).0.map(f32::from);
        let (a, b, c, d) = (at(left, top), at(right, top), at(left, bottom), at(right, bottom));
        image::Rgb(std::array::from_fn(|i| {
            let upper = a[i] + (b[i] - a[i]) * fx;
            let lower = c[i] + (d[i] - c[i]) * fx;
            (upper + (lower - upper) * fy).round() as u8
        }))
    })
}

/// For every target pixel: the two source pixels and the weight of the second.
fn taps(source: u32, target: u32) -> Vec<(u32, u32, f32)> {
    let scale = f64::from(source) / f64::from(target);
    let last = source - 1;
    (0..target)
        .map(|i| {
            let centre = ((f64::from(i) + 0.5) * scale - 0.5).clamp(0.0, f64::from(last));
            let first = centre.floor() as u32;
            (first, (first + 1).min(last), (centre - centre.floor()) as f32)
        })
        .collect()
}

fn lay_out(
    image: &RgbImage,
    tensor_width: u32,
    layout: &ImageLayout,
    source_width: f64,
    source_height: f64,
) -> Picture {
    let (content_width, height) = (image.width() as usize, image.height() as usize);
    let width = tensor_width as usize;
    let channels = if layout.colour == Colour::Grey { 1 } else { 3 };
    let mut values = vec![0.0; channels * height * width];
    for (x, y, pixel) in image.enumerate_pixels() {
        let [r, g, b] = pixel.0.map(f32::from);
        let colours = match layout.colour {
            Colour::Rgb => [r, g, b],
            Colour::Bgr => [b, g, r],
            Colour::Grey => [(0.299 * r + 0.587 * g + 0.114 * b).round(), 0.0, 0.0],
        };
        for (channel, colour) in colours.into_iter().take(channels).enumerate() {
            let index = match layout.axes {
                ImageAxes::Nchw => (channel * height + y as usize) * width + x as usize,
                ImageAxes::Nhwc => (y as usize * width + x as usize) * channels + channel,
            };
            values[index] = (colour / 255.0 - layout.mean[channel]) / layout.std[channel];
        }
    }
    let (scale_x, scale_y) = (source_width / content_width as f64, source_height / height as f64);
    Picture { values, channels, height, width, scale_x, scale_y }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayAlphaImage, ImageFormat};
    use pannier_bundle::Code;

    fn png(image: impl Into<DynamicImage>) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        image.into().write_to(&mut file, ImageFormat::Png).unwrap();
        file.into_inner()
    }

    fn layout(axes: ImageAxes, colour: Colour, resize: Resize) -> ImageLayout {
        ImageLayout { axes, colour, resize, mean: [0.0; 3], std: [1.0 / 255.0; 3] }
    }

    const AS_IS: Resize = Resize::Multiple { of: 1, limit: 10_000 };

    fn rounded(picture: &Picture) -> Vec<i32> {
        picture.values.iter().map(|v| v.round() as i32).collect()
    }

    #[test]
    fn axes_and_colours_are_ordered_as_described() {
        let file = png(RgbImage::from_raw(2, 1, vec![1, 2, 3, 4, 5, 6]).unwrap());
        let cases = [
            (ImageAxes::Nchw, Colour::Rgb, vec![1, 4, 2, 5, 3, 6]),
            (ImageAxes::Nchw, Colour::Bgr, vec![3, 6, 2, 5, 1, 4]),
            (ImageAxes::Nhwc, Colour::Rgb, vec![1, 2, 3, 4, 5, 6]),
            (ImageAxes::Nhwc, Colour::Bgr, vec![3, 2, 1, 6, 5, 4]),
            (ImageAxes::Nchw, Colour::Grey, vec![2, 5]),
        ];
        for (axes, colour, expected) in cases {
            let picture = picture("t", &file, &layout(axes, colour, AS_IS)).unwrap();
            assert_eq!(rounded(&picture), expected, "{axes:?} {colour:?}");
        }
        let mut normal = layout(ImageAxes::Nhwc, Colour::Rgb, AS_IS);
        (normal.mean, normal.std) = ([0.5, 0.0, 1.0], [0.5, 1.0, 2.0]);
        let values =
            picture("t", &png(RgbImage::from_pixel(1, 1, image::Rgb([255, 255, 255]))), &normal).unwrap().values;
        assert_eq!(values, [1.0, 1.0, 0.0]);
    }

    #[test]
    fn sizes_follow_the_resize_rule() {
        // (rule, source width x height) -> (content width, tensor width, height)
        let fit = |grow| Resize::FitHeight { height: 48, width: 320, grow };
        let multiple = Resize::Multiple { of: 32, limit: 960 };
        let cases = [
            (Resize::Stretch { height: 10, width: 20 }, (7, 3), (20, 20, 10)),
            (fit(false), (100, 48), (100, 320, 48)),
            (fit(false), (101, 50), (97, 320, 48)),
            (fit(false), (1000, 48), (320, 320, 48)),
            (fit(true), (1000, 48), (1000, 1000, 48)),
            (fit(true), (1001, 50), (960, 960, 48)),
            (multiple, (320, 320), (320, 320, 320)),
            (multiple, (335, 337), (320, 320, 352)),
            (multiple, (1920, 1080), (960, 960, 544)),
            (multiple, (5, 2000), (32, 32, 960)),
        ];
        for (rule, (width, height), expected) in cases {
            let (across, down) = target("t", rule, width, height).unwrap();
            assert_eq!((across.content, across.tensor, down), expected, "{rule:?} of {width} x {height}");
        }
        assert_eq!(
            target("t", fit(true), 60_000_000, 1).err().map(|e| e.code()),
            Some(Code::Limit),
            "a line that grows without end"
        );
    }

    #[test]
    fn resizing_samples_at_pixel_centres() {
        let row = RgbImage::from_fn(4, 1, |x, _| image::Rgb([[0, 100, 200, 50][x as usize]; 3]));
        let values = |width| resize(&row, width, 1).pixels().map(|p| p.0[0]).collect::<Vec<_>>();
        assert_eq!(values(2), [50, 125], "halving takes the middle of two");
        assert_eq!(values(8), [0, 25, 75, 125, 175, 163, 88, 50], "doubling keeps the edges");
    }

    #[test]
    fn filling_is_zero_after_normalising_and_transparency_is_white() {
        let mut line = layout(ImageAxes::Nchw, Colour::Grey, Resize::FitHeight { height: 1, width: 3, grow: false });
        line.mean = [-1.0; 3];
        let values = picture("t", &png(RgbImage::new(1, 1)), &line).unwrap();
        assert_eq!(rounded(&values), [255, 0, 0]);
        let clear = GrayAlphaImage::from_raw(2, 1, vec![0, 0, 0, 255]).unwrap();
        let values = picture("t", &png(clear), &layout(ImageAxes::Nchw, Colour::Grey, AS_IS)).unwrap();
        assert_eq!(rounded(&values), [255, 0]);
    }

    #[test]
    fn hostile_pictures_are_refused_before_decoding() {
        let good = png(RgbImage::new(4, 4));
        let any = layout(ImageAxes::Nchw, Colour::Rgb, AS_IS);
        for length in 0..good.len() - 12 {
            let error = picture("t", &good[..length], &any).unwrap_err();
            assert_eq!(error.code(), Code::InvalidContent, "cut to {length} bytes: {error}");
        }
        assert!(picture("t", b"GIF89a not a picture we read", &any).is_err());

        // A header that claims 60,000 x 60,000 pixels, with its checksum right.
        let mut huge = good;
        huge[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
        let checksum = huge[12..29].iter().fold(!0u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
        });
        huge[29..33].copy_from_slice(&(!checksum).to_be_bytes());
        assert_eq!(picture("t", &huge, &any).unwrap_err().code(), Code::Limit);
    }
}
