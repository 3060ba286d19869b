//! PNG, WebP, BMP, GIF and TIFF, through `image`.
//!
//! Of a GIF the first frame is read, of an animated WebP or PNG the picture that viewers without
//! animation show, of a TIFF the first page.

use std::io::{BufRead, Cursor, Seek};

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::{DECODING, Decoded, MAX_BYTES, MAX_SIDE, alpha, check_size, too_large};
use crate::Shape;

/// Decodes an image that is no JPEG, turns it upright and lays it on white; `planes` are the bytes
/// that its caller will need besides.
pub(super) fn decode(
    bytes: &[u8],
    format: ImageFormat,
    planes: impl Fn(Shape) -> u64,
) -> Result<Decoded, String> {
    match format {
        ImageFormat::Bmp => check_bmp(bytes)?,
        ImageFormat::Png => check_png(bytes)?,
        _ => {}
    }
    let mut decoder = decoder(Cursor::new(bytes), format)?;
    let (shape, orientation) = header(&mut decoder)?;
    if format == ImageFormat::WebP {
        check_webp(bytes, shape)?;
    }
    // The decoded image, and once more what decoders keep of it or its turned copy.
    let memory = DECODING.take(2 * decoder.total_bytes() + planes(shape));
    let mut image = DynamicImage::from_decoder(decoder).map_err(reason)?;
    let is_transparent = alpha::lay_on_white(&mut image);
    image.apply_orientation(orientation);
    Ok(Decoded { image, is_transparent, _memory: memory })
}

/// Size as stored and orientation of the image that `reader` gives, before any pixel is decoded.
pub(super) fn dimensions<R: BufRead + Seek>(
    reader: R,
    format: ImageFormat,
) -> Result<(Shape, Orientation), String> {
    header(&mut decoder(reader, format)?)
}

fn decoder<'a, R: BufRead + Seek + 'a>(
    bytes: R,
    format: ImageFormat,
) -> Result<impl ImageDecoder + 'a, String> {
    let mut reader = ImageReader::with_format(bytes, format);
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE as u32);
    limits.max_image_height = Some(MAX_SIDE as u32);
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    reader.into_decoder().map_err(reason)
}

fn header(decoder: &mut impl ImageDecoder) -> Result<(Shape, Orientation), String> {
    let (width, height) = decoder.dimensions();
    check_size(width as usize, height as usize, decoder.total_bytes())?;
    let color = decoder.color_type();
    if matches!(color, image::ColorType::Rgb32F | image::ColorType::Rgba32F) {
        let reason = "values are floating-point numbers, whose white is not known; save the image \
                      with 8 or 16 bits a channel";
        return Err(reason.into());
    }
    let channels = if color.has_color() { 3 } else { 1 };
    let shape = Shape { channels, height: height as usize, width: width as usize };
    let orientation = decoder.orientation().map_err(reason)?;
    Ok((shape, orientation))
}

/// What is wrong with a file, in one way of saying that it is cut off, or too large, for those of all
/// decoders.
fn reason(error: ImageError) -> String {
    if matches!(error, ImageError::Limits(_)) {
        return too_large("the image is too large");
    }
    const CUT: [&str; 3] = ["unexpected end", "failed to fill whole buffer", "image truncated"];
    let text = error.to_string();
    let lower = text.to_lowercase();
    if CUT.iter().any(|cut| lower.contains(cut)) {
        return "the file is cut off: it ends within the image; copy or download the file again"
            .into();
    }
    text
}

/// Refuses a BMP that is shorter than its rows, before anything is allocated for them.
fn check_bmp(bytes: &[u8]) -> Result<(), String> {
    let word = |at: usize| {
        let four = bytes.get(at..at + 4)?;
        Some(u32::from_le_bytes(four.try_into().expect("four bytes")))
    };
    // Without these words the decoder finds the mistake. Only plain rows have a known length.
    let (Some(start), Some(40..), Some(width), Some(height), Some(depths), Some(0 | 3)) =
        (word(10), word(14), word(18), word(22), word(26), word(30))
    else {
        return Ok(());
    };
    let row = (u64::from(width) * u64::from(depths >> 16)).div_ceil(32) * 4;
    // A negative height means that the first row is the upper one.
    let height = u64::from(height.cast_signed().unsigned_abs());
    let needed = row.saturating_mul(height).saturating_add(u64::from(start));
    // Some programs leave out the fill of the last row.
    if needed > bytes.len() as u64 + 4 {
        let found = bytes.len();
        return Err(format!(
            "the file is cut off: {needed} bytes are needed and there are {found}"
        ));
    }
    Ok(())
}

/// Refuses a PNG whose palette is no list of 1 to 256 colours: the decoder panics at part of one.
fn check_png(bytes: &[u8]) -> Result<(), String> {
    let mut rest = bytes.get(8..).unwrap_or_default();
    while let Some(&[s0, s1, s2, s3, a, b, c, d]) = rest.first_chunk::<8>() {
        let size = u32::from_be_bytes([s0, s1, s2, s3]) as usize;
        match &[a, b, c, d] {
            b"PLTE" if size == 0 || size > 3 * 256 || !size.is_multiple_of(3) => {
                return Err(format!(
                    "its palette has {size} bytes, where 1 to 256 colours of 3 are"
                ));
            }
            b"IDAT" => break,
            // Name and size before the data, and a checksum behind them.
            _ => rest = rest.get(size.saturating_add(12)..).unwrap_or_default(),
        }
    }
    Ok(())
}

/// Refuses a WebP whose image data end in zeros: a file that was allocated whole and whose download
/// broke off. The decoder takes zeros for codes and gives a picture whose rest is made up.
///
/// The coder of lossy files does write zeros for blocks of 16×16 pixels that are all alike, as a
/// white ground at the bottom: about one byte for 30 to 40 blocks, in files that libwebp wrote of
/// flat, half flat and transparent pictures of up to 4000×4000 pixels. Photographs take 20 bytes a
/// block and more. So more zeros than one for ten blocks are not from a coder.
fn check_webp(bytes: &[u8], shape: Shape) -> Result<(), String> {
    let blocks = shape.height.div_ceil(16) * shape.width.div_ceil(16);
    let allowed = 8 + blocks / 10;
    let mut at = 12;
    while let Some(&[a, b, c, d, s0, s1, s2, s3]) =
        bytes.get(at..).and_then(|rest| rest.first_chunk::<8>())
    {
        let size = u32::from_le_bytes([s0, s1, s2, s3]) as usize;
        let data = &bytes[at + 8..];
        let data = &data[..size.min(data.len())];
        let name = [a, b, c, d];
        // The data of a frame are chunks too, behind 16 bytes of the frame's own.
        if &name == b"ANMF" {
            at += 8 + 16;
            continue;
        }
        let zeros = data.iter().rev().take_while(|&&byte| byte == 0).count();
        if matches!(&name, b"VP8 " | b"VP8L") && zeros > allowed {
            return Err(format!(
                "the file is cut off: its image data end in {zeros} zero bytes; copy or download \
                 the file again"
            ));
        }
        at = at.saturating_add(8).saturating_add(size).saturating_add(size % 2);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use image::{ImageBuffer, Rgb};

    use super::*;
    use crate::decode::image_bytes;
    use crate::decode::tests::encoded;

    /// A picture without flat places, and the same as every format.
    fn noise() -> DynamicImage {
        let value = |x: u32, y: u32| (x * 7919 + y * 104_729 + x * y * 31) as u8;
        ImageBuffer::from_fn(64, 48, |x, y| Rgb([value(x, y), value(y, x), value(x + 9, y)])).into()
    }

    #[test]
    fn cut_files_are_refused_whatever_fills_them_up() {
        for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Gif] {
            let whole = encoded(&noise(), format);
            assert!(image_bytes(&whole, None, None).is_ok(), "{format:?}");
            for percent in [10, 30, 50, 90, 99] {
                let kept = whole.len() * percent / 100;
                let cut = image_bytes(&whole[..kept], None, None);
                assert!(cut.is_err(), "{format:?} cut at {percent} %");
                // The rows of a BMP may be black; nobody can tell.
                if format != ImageFormat::Bmp {
                    let mut filled = whole.clone();
                    filled[kept..].fill(0);
                    let filled = image_bytes(&filled, None, None);
                    assert!(filled.is_err(), "{format:?} of which {percent} % are no zeros");
                }
            }
        }
    }

    #[test]
    fn a_bmp_of_a_thousand_bytes_is_refused_before_it_is_decoded() {
        let mut bmp = encoded(&noise(), ImageFormat::Bmp);
        bmp.truncate(1000);
        for (at, side) in [(18, 13_000u32), (22, 13_000)] {
            bmp[at..at + 4].copy_from_slice(&side.to_le_bytes());
        }
        let error = image_bytes(&bmp, None, None).unwrap_err();
        assert!(error.contains("are needed and there are 1000"), "{error}");
        // Rows from the top down, a height below zero.
        bmp[22..26].copy_from_slice(&(-13_000i32).to_le_bytes());
        assert!(image_bytes(&bmp, None, None).unwrap_err().contains("cut off"));
    }

    #[test]
    fn a_palette_with_part_of_a_colour_is_refused() {
        let grey = encoded(&noise().to_luma8().into(), ImageFormat::Png);
        let with_palette = |size: usize| {
            let chunk = |name: &[u8; 4], data: &[u8]| {
                let mut sum = flate2::Crc::new();
                sum.update(name);
                sum.update(data);
                let (length, sum) = ((data.len() as u32).to_be_bytes(), sum.sum().to_be_bytes());
                [&length[..], name, data, &sum].concat()
            };
            // The header ends at byte 33; its 10th byte says what the values are, 3 a palette's.
            let mut header = grey[16..29].to_vec();
            header[9] = 3;
            let palette = chunk(b"PLTE", &vec![7; size]);
            [&grey[..8], &chunk(b"IHDR", &header), &palette, &grey[33..]].concat()
        };
        let image = image_bytes(&with_palette(768), None, None).unwrap();
        assert!(image.pixels.iter().all(|&value| value == 7));
        for size in [0, 1, 49, 767, 771] {
            let error = image_bytes(&with_palette(size), None, None).unwrap_err();
            assert!(error.contains(&format!("palette has {size} bytes")), "{error}");
        }
    }

    #[test]
    fn flat_pictures_may_end_in_some_zeros() {
        let white: DynamicImage = ImageBuffer::from_pixel(300, 200, Rgb([255u8; 3])).into();
        for format in [ImageFormat::WebP, ImageFormat::Gif, ImageFormat::Tiff, ImageFormat::Bmp] {
            let image = image_bytes(&encoded(&white, format), None, None).unwrap();
            assert!(image.pixels.iter().all(|&value| value == 255), "{format:?}");
        }
        let chunk = |zeros: usize| {
            let data = [vec![7; 50], vec![0; zeros]].concat();
            let size = (data.len() as u32).to_le_bytes();
            [b"RIFF....WEBPVP8 ", &size[..], &data].concat()
        };
        let shape = Shape { channels: 3, height: 4000, width: 4000 };
        assert!(check_webp(&chunk(1541), shape).is_ok(), "as libwebp writes a white ground");
        assert!(check_webp(&chunk(7000), shape).is_err());
    }

    #[test]
    fn a_picture_that_is_too_wide_is_refused_with_the_limit() {
        let mut wide = encoded(&noise(), ImageFormat::Gif);
        wide[6..8].copy_from_slice(&17_000u16.to_le_bytes());
        let error = image_bytes(&wide, None, None).unwrap_err();
        assert!(error.contains("sides of at most 16384 pixels"), "{error}");
    }

    #[test]
    fn floating_point_values_have_no_known_white() {
        let float: DynamicImage = ImageBuffer::from_pixel(2, 2, Rgb([0.5f32; 3])).into();
        let error = image_bytes(&encoded(&float, ImageFormat::Tiff), None, None).unwrap_err();
        assert!(error.contains("8 or 16 bits"), "{error}");
    }
}
