//! Image files to bytes: JPEG, PNG, WebP, BMP, GIF and TIFF, recognised by content and never by
//! ending.
//!
//! JPEG goes through `zune-jpeg` in strict mode, because lenient decoders return half a file as a
//! whole image whose rest is grey; the others go through `image`. The result is always 8 bits a
//! value, planar `[C, H, W]`, upright (EXIF orientation is applied), without alpha: what is
//! transparent lies on white. 16-bit values become 8-bit by `round(v / 257)`, palettes become
//! colours, CMYK becomes RGB.
//!
//! Memory is bounded twice: an image may not be wider or higher than [`MAX_SIDE`] nor need more
//! than 512 MiB decoded; and all images that are decoded or resized at the same time, by however
//! many threads, share 1 GiB. One image that needs more than that is decoded alone.

mod alpha;
mod jpeg;
mod raster;

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use image::{DynamicImage, ImageFormat};

use crate::Shape;
use crate::memory::{Budget, Taken};
use crate::plane::{Filter, scaled};
use crate::source::read;

/// Largest width and height of an image, in pixels.
pub const MAX_SIDE: usize = 16_384;
/// Largest decoded image and largest image file, in bytes.
const MAX_BYTES: u64 = 512 << 20;
/// Most that an image and the decoder's own memory of it take, and that all images take together.
const MAX_WORK_BYTES: u64 = 1 << 30;
/// Bytes that tell the format; WebP needs 12.
const HEAD_BYTES: u64 = 16;
/// Image files in memory, of all threads. Taken before [`DECODING`], never after it.
static READING: Budget = Budget::new(MAX_BYTES);
/// Images that are being decoded and resized, of all threads.
static DECODING: Budget = Budget::new(MAX_WORK_BYTES);

/// A decoded image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Channels (1 grey, 3 RGB), height and width.
    pub shape: Shape,
    /// `[C, H, W]`, 0–255.
    pub pixels: Vec<u8>,
    /// Whether any of it was transparent, and now shows the white below.
    pub is_transparent: bool,
}

/// Decodes the image file at `path`.
///
/// `channels` is 1 (colour becomes luma, Rec. 709), 3 (grey is repeated) or `None` for what the
/// file holds; `resize` is `[height, width]`, see [`resize`](fn@resize).
/// The error says what is wrong with the file, without its path.
pub fn image_file(
    path: &Path,
    channels: Option<usize>,
    resize: Option<[usize; 2]>,
) -> Result<Image, String> {
    let file = open(path)?;
    let size = file.metadata().map_err(|error| error.to_string())?.len();
    if size > MAX_BYTES {
        return Err(format!("the file is larger than {MAX_BYTES} bytes"));
    }
    let _memory = READING.take(size);
    let mut bytes = Vec::new();
    // A file that grows meanwhile is cut here and refused as an image.
    file.take(size).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    image_bytes(&bytes, channels, resize)
}

fn open(path: &Path) -> Result<File, String> {
    read::regular_file(path).map_err(|error| error.to_string())
}

/// Decodes an image file held in memory; parameters as for [`image_file`].
pub fn image_bytes(
    bytes: &[u8],
    channels: Option<usize>,
    resize: Option<[usize; 2]>,
) -> Result<Image, String> {
    if let Some(other) = channels.filter(|channels| ![1, 3].contains(channels)) {
        return Err(format!("an image has 1 or 3 channels, {other} were asked for"));
    }
    // The planes that are made of the decoded image, one of them twice while it is resized.
    let planes = |from: Shape| {
        let channels = channels.unwrap_or(from.channels).max(from.channels) as u64;
        let area = from.height as u64 * from.width as u64;
        match resize {
            None => channels * area,
            Some([height, width]) => area + channels * (height as u64 * width as u64),
        }
    };
    let decoded = match format_of(&bytes[..bytes.len().min(HEAD_BYTES as usize)])? {
        ImageFormat::Jpeg => jpeg::decode(bytes, planes)?,
        format => raster::decode(bytes, format, planes)?,
    };
    Ok(planar(decoded, channels, resize))
}

/// An upright image, and its share of the memory of all images while it is used.
struct Decoded {
    image: DynamicImage,
    is_transparent: bool,
    _memory: Taken<'static>,
}

/// Channels (1 or 3), height and width of the upright image at `path`, from its header alone; the
/// pixels may still turn out to be broken.
pub fn dimensions(path: &Path) -> Result<Shape, String> {
    let mut file = BufReader::new(open(path)?);
    let mut head = Vec::new();
    file.by_ref().take(HEAD_BYTES).read_to_end(&mut head).map_err(|error| error.to_string())?;
    file.rewind().map_err(|error| error.to_string())?;
    let (shape, orientation) = match format_of(&head)? {
        ImageFormat::Jpeg => jpeg::dimensions(file)?,
        format => raster::dimensions(file, format)?,
    };
    Ok(match orientation.to_exif() {
        5.. => Shape { height: shape.width, width: shape.height, ..shape },
        _ => shape,
    })
}

/// What holds for an image of every format, before its pixels are decoded into `decoded_bytes`.
fn check_size(width: usize, height: usize, decoded_bytes: u64) -> Result<(), String> {
    if width == 0 || height == 0 {
        return Err(format!("{width}×{height} is no image size"));
    }
    if width > MAX_SIDE || height > MAX_SIDE || decoded_bytes > MAX_BYTES {
        let mib = decoded_bytes.div_ceil(1 << 20);
        return Err(too_large(&format!("{width}×{height} pixels take {mib} MiB")));
    }
    Ok(())
}

/// Refuses an image of which `what` is too much.
fn too_large(what: &str) -> String {
    format!(
        "{what}: an image may have sides of at most {MAX_SIDE} pixels and take at most {} MiB. No \
         setting raises this, and data.resize comes after decoding: make the file smaller with an \
         image program, or cut it into tiles",
        MAX_BYTES >> 20
    )
}

/// Resizes `[C, H, W]` pixels of `shape` to `[height, width]` with Lanczos3 in fixed point, channel
/// by channel; the bytes are the same on every machine. The same size is a plain copy.
///
/// # Panics
/// If a side is 0 or `pixels` does not hold `shape`: callers check both.
pub fn resize(pixels: &[u8], shape: Shape, [height, width]: [usize; 2]) -> Vec<u8> {
    assert_eq!(pixels.len(), shape.len(), "pixels fill their shape");
    assert!(height > 0 && width > 0, "an image has at least one pixel");
    if [shape.height, shape.width] == [height, width] {
        return pixels.to_vec();
    }
    let size = [shape.height, shape.width];
    let planes = pixels.chunks_exact(shape.height * shape.width);
    planes.flat_map(|plane| scaled(Filter::Lanczos, plane, size, [height, width])).collect()
}

/// The format that the first bytes of a file tell, or why it is none of ours.
fn format_of(head: &[u8]) -> Result<ImageFormat, String> {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    if head.is_empty() {
        return Err("the file is empty".into());
    }
    if head.iter().all(|&byte| byte == 0) {
        return Err("the file begins with zeros: it was allocated and never written".into());
    }
    match image::guess_format(head) {
        Ok(format @ (Jpeg | Png | WebP | Bmp | Gif | Tiff)) => Ok(format),
        Ok(other) => Err(not_read(&format!("{other:?}"))),
        Err(_) => match head.get(4..12) {
            // Files of the family of MP4 name their kind behind the length of their first box.
            Some(b"ftypheic" | b"ftypheix" | b"ftyphevc" | b"ftypmif1" | b"ftypmsf1") => {
                Err(not_read("HEIC"))
            }
            _ => Err(format!(
                "not a JPEG, PNG, WebP, BMP, GIF or TIFF image; the file starts with \"{}\"",
                head.escape_ascii()
            )),
        },
    }
}

fn not_read(format: &str) -> String {
    format!(
        "{format} images are not read; JPEG, PNG, WebP, BMP, GIF and TIFF are: convert the file to \
         one of these"
    )
}

/// Whether a file that begins with `head` would be decoded.
pub(crate) fn is_image(head: &[u8]) -> bool {
    format_of(head).is_ok()
}

/// `[H, W, C]` of any depth to `[C, H, W]` of 8 bits with the wanted channels and size.
fn planar(decoded: Decoded, channels: Option<usize>, resize: Option<[usize; 2]>) -> Image {
    let Decoded { image, is_transparent, _memory } = decoded;
    let channels = channels.unwrap_or(if image.color().has_color() { 3 } else { 1 });
    let (width, height) = (image.width() as usize, image.height() as usize);
    let from = Shape { channels, height, width };
    let mixed =
        if channels == 1 { image.into_luma8().into_raw() } else { image.into_rgb8().into_raw() };
    let [to_height, to_width] = resize.unwrap_or([height, width]);
    let shape = Shape { channels, height: to_height, width: to_width };
    let pixels = if channels == 1 {
        if resize.is_some() { self::resize(&mixed, from, [to_height, to_width]) } else { mixed }
    } else {
        let mut pixels = Vec::with_capacity(shape.len());
        for channel in 0..channels {
            let values = mixed[channel..].iter().step_by(channels).copied();
            if [height, width] == [to_height, to_width] {
                pixels.extend(values);
            } else {
                // One plane at a time, so that a large image is there once and a third.
                let plane: Vec<u8> = values.collect();
                let grey = Shape { channels: 1, ..from };
                pixels.extend(self::resize(&plane, grey, [to_height, to_width]));
            }
        }
        pixels
    };
    Image { shape, pixels, is_transparent }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Cursor;

    use image::{GrayImage, RgbImage};

    use super::*;

    pub(super) fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    /// Two rows of three pixels; red counts up, green is 100, blue 200.
    fn sample() -> DynamicImage {
        RgbImage::from_fn(3, 2, |x, y| image::Rgb([(y * 3 + x) as u8, 100, 200])).into()
    }

    #[test]
    fn planes_stand_one_after_the_other() {
        use ImageFormat::{Bmp, Gif, Png, Tiff, WebP};
        for format in [Png, Bmp, WebP, Gif, Tiff] {
            let image = image_bytes(&encoded(&sample(), format), None, None).unwrap();
            assert_eq!(image.shape, Shape { channels: 3, height: 2, width: 3 }, "{format:?}");
            assert_eq!(image.pixels[..6], [0, 1, 2, 3, 4, 5], "{format:?}");
            assert_eq!(image.pixels[6..], [[100; 6], [200; 6]].concat(), "{format:?}");
        }
    }

    #[test]
    fn channels_follow_the_file_or_the_wish() {
        let grey = GrayImage::from_fn(2, 1, |x, _| image::Luma([x as u8 * 9])).into();
        let bytes = encoded(&grey, ImageFormat::Png);
        assert_eq!(image_bytes(&bytes, None, None).unwrap().pixels, [0, 9]);
        assert_eq!(image_bytes(&bytes, Some(3), None).unwrap().pixels, [0, 9, 0, 9, 0, 9]);
        let colour = encoded(&sample(), ImageFormat::Png);
        assert_eq!(image_bytes(&colour, Some(1), None).unwrap().shape.channels, 1);
        assert!(image_bytes(&colour, Some(2), None).unwrap_err().contains("2 were asked for"));
    }

    #[test]
    fn deep_values_are_rounded() {
        let deep = image::ImageBuffer::from_pixel(1, 1, image::LumaA([0x8000u16, 65_535]));
        let image = image_bytes(&encoded(&deep.into(), ImageFormat::Png), None, None).unwrap();
        assert_eq!((image.shape.channels, image.pixels), (1, vec![128]));
        assert!(!image.is_transparent);
    }

    #[test]
    fn what_is_transparent_lies_on_white_in_every_format_that_has_it() {
        // A red square on nothing, under which black is stored.
        let logo = image::RgbaImage::from_fn(4, 4, |x, _| {
            image::Rgba(if x < 2 { [200, 0, 0, 255] } else { [0, 0, 0, 0] })
        });
        for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif, ImageFormat::Tiff] {
            let bytes = encoded(&logo.clone().into(), format);
            let image = image_bytes(&bytes, None, None).unwrap();
            assert!(image.is_transparent, "{format:?}");
            assert_eq!(image.pixels[..4], [200, 200, 255, 255], "{format:?}");
            assert_eq!(image.pixels[16..20], [0, 0, 255, 255], "{format:?}");
        }
    }

    #[test]
    fn resize_keeps_a_flat_image_flat_and_the_same_size_as_it_is() {
        let image = image_bytes(&encoded(&sample(), ImageFormat::Png), None, Some([5, 7])).unwrap();
        assert_eq!(image.shape, Shape { channels: 3, height: 5, width: 7 });
        assert!(image.pixels[35..70].iter().all(|&green| green == 100));
        let shape = Shape { channels: 1, height: 1, width: 3 };
        assert_eq!(resize(&[1, 200, 3], shape, [1, 3]), [1, 200, 3]);
    }

    #[test]
    fn what_is_no_image_is_named() {
        let error = |bytes: &[u8]| image_bytes(bytes, None, None).unwrap_err();
        assert_eq!(error(b""), "the file is empty");
        assert!(error(b"hello, I am text").contains("starts with \"hello, I am text\""));
        assert!(error(b"\0\0\0\x18ftypheic\0\0\0\0").contains("HEIC images are not read"));
        assert!(error(b"\0\0\0\x18ftypavif\0\0\0\0").contains("Avif images are not read"));
        assert!(error(b"<!DOCTYPE html><html>").contains("starts with \"<!DOCTYPE html>"));
        assert!(error(&[0; 5000]).contains("begins with zeros"));
        assert!(!error(b"GIF89a..........").is_empty());
        assert!(!error(b"\xff\xd8\xff\xe0 nothing more").is_empty());
    }

    #[test]
    fn a_cut_png_is_broken_at_every_length() {
        let whole = encoded(&sample(), ImageFormat::Png);
        for length in 0..whole.len() - 12 {
            assert!(image_bytes(&whole[..length], None, None).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn a_huge_header_is_refused_before_its_pixels() {
        let mut bmp = encoded(&sample(), ImageFormat::Bmp);
        bmp[18..22].copy_from_slice(&2_000_000_000u32.to_le_bytes());
        assert!(image_bytes(&bmp, None, None).is_err());
    }
}
