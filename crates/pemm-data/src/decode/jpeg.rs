//! JPEG, through `zune-jpeg` in strict mode, and where a JPEG ends.
//!
//! A file that was cut and filled up, by zeros or by another file, has image data that never end.
//! Decoders do not mind: they read zeros as codes. So the end marker is looked for where it must
//! be, after the last scan of the image. One inside of a segment, as that of the thumbnail that
//! every camera writes into EXIF, is none.
//!
//! A file that was cut and closed with an end marker has too few image data, and behind a marker the
//! decoder goes on with zeros, which are codes too. So it is given ones there: they are no code of any
//! table, and whole image data end before them.

use std::io::{BufRead, Cursor, Seek};

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::{DECODING, Decoded, MAX_WORK_BYTES, check_size};
use crate::Shape;

/// Image data of ones, of which a decoder reads the first eight bytes ahead of its need.
const ONES: [u8; 32] = {
    let mut bytes = [0xff; 32];
    let mut at = 1;
    while at < bytes.len() {
        // Behind it the byte 0xff is no marker.
        bytes[at] = 0;
        at += 2;
    }
    bytes
};

/// What the markers of a JPEG say.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Markers {
    /// The image is stored in several passes, whose coefficients are kept until the last.
    is_progressive: bool,
    /// Where the marker stands that ends the image, behind its last scan.
    end: Option<usize>,
}

/// Decodes a JPEG and turns it upright; `planes` are the bytes that its caller will need besides.
pub(super) fn decode(bytes: &[u8], planes: impl Fn(Shape) -> u64) -> Result<Decoded, String> {
    let mut decoder = JpegDecoder::new_with_options(Cursor::new(bytes), options());
    let (shape, orientation) = header(&mut decoder)?;
    let markers = markers(bytes);
    let Some(end) = markers.end else {
        return Err("the file is cut off: the end-of-image marker is missing after the image \
                    data; copy or download the file again"
            .into());
    };
    // The coefficients of a progressive file have two bytes each.
    let factor = if markers.is_progressive { 3 } else { 1 };
    let work = shape.len() as u64 * factor;
    if work > MAX_WORK_BYTES {
        return Err(format!(
            "decoding {}×{} pixels of a progressive JPEG takes {} MiB, more than the limit of {} \
             MiB; save it as a baseline JPEG or make it smaller with an image program",
            shape.width,
            shape.height,
            work.div_ceil(1 << 20),
            MAX_WORK_BYTES >> 20
        ));
    }
    let memory = DECODING.take(work + bytes.len() as u64 + planes(shape));
    let closed = [&bytes[..end], &ONES, &bytes[end..end + 2]].concat();
    let mut decoder = JpegDecoder::new_with_options(Cursor::new(&closed[..]), options());
    header(&mut decoder)?;
    let color = if shape.channels == 1 { ColorSpace::Luma } else { ColorSpace::RGB };
    decoder.set_options(options().jpeg_set_out_colorspace(color));
    let pixels = decoder
        .decode()
        .map_err(|error| format!("its image data are broken or end too early: {error}"))?;
    let (width, height) = (shape.width as u32, shape.height as u32);
    let mut image = match shape.channels {
        1 => GrayImage::from_raw(width, height, pixels).map(DynamicImage::ImageLuma8),
        _ => RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8),
    }
    .ok_or("the decoder gave too few pixels")?;
    image.apply_orientation(orientation);
    Ok(Decoded { image, is_transparent: false, _memory: memory })
}

fn options() -> DecoderOptions {
    // Sides have 16 bits in the file; `check_size` refuses large ones in words of ours.
    let most = usize::from(u16::MAX);
    DecoderOptions::default().set_strict_mode(true).set_max_width(most).set_max_height(most)
}

/// Size as stored and orientation of the JPEG that `reader` gives, before any pixel is decoded.
pub(super) fn dimensions(reader: impl BufRead + Seek) -> Result<(Shape, Orientation), String> {
    header(&mut JpegDecoder::new_with_options(reader, options()))
}

fn header<R: BufRead + Seek>(decoder: &mut JpegDecoder<R>) -> Result<(Shape, Orientation), String> {
    decoder.decode_headers().map_err(|error| error.to_string())?;
    let (width, height) = decoder.dimensions().ok_or("the header holds no size")?;
    let grey = decoder.input_colorspace() == Some(ColorSpace::Luma);
    let shape = Shape { channels: if grey { 1 } else { 3 }, height, width };
    check_size(width, height, shape.len() as u64)?;
    let orientation = decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif));
    Ok((shape, orientation.unwrap_or(Orientation::NoTransforms)))
}

/// Walks over the segments of a JPEG and the data of its scans.
///
/// Bytes between segments that are no marker are passed over, as decoders do.
fn markers(bytes: &[u8]) -> Markers {
    const START_OF_IMAGE: u8 = 0xd8;
    const END_OF_IMAGE: u8 = 0xd9;
    const START_OF_SCAN: u8 = 0xda;
    const PROGRESSIVE: [u8; 4] = [0xc2, 0xc6, 0xca, 0xce];
    let mut markers = Markers::default();
    let mut has_scan = false;
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|&byte| byte == 0xff) {
        rest = &rest[at + 1..];
        let Some(&marker) = rest.first() else { break };
        match marker {
            // Fill, which may stand before any marker.
            0xff => continue,
            // A byte 0xff of the image data, and what has no length: restarts and a private use.
            0x00 | 0x01 | 0xd0..=0xd7 | START_OF_IMAGE => rest = &rest[1..],
            END_OF_IMAGE => {
                markers.end = has_scan.then(|| bytes.len() - rest.len() - 1);
                break;
            }
            _ => {
                let Some(&[high, low]) = rest.get(1..3) else { break };
                let length = usize::from(u16::from_be_bytes([high, low]));
                let Some(after) = rest.get(1 + length..) else { break };
                rest = after;
                has_scan |= marker == START_OF_SCAN;
                markers.is_progressive |= PROGRESSIVE.contains(&marker);
            }
        }
    }
    markers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{dimensions, image_bytes, image_file};

    /// A grey 16×8 JPEG whose columns get brighter to the right, as libjpeg-turbo writes it.
    const JPEG: &str = "ffd8ffe000104a46494600010100000100010000ffdb00430008060607060508070707090908\
        0a0c140d0c0b0b0c1912130f141d1a1f1e1d1a1c1c20242e2720222c231c1c2837292c303134\
        34341f27393d38323c2e333432ffc0000b080008001001011100ffc400150001010000000000\
        0000000000000000000708ffc400161000030000000000000000000000000000000643ffda00\
        08010100003f00374e9940274cffd9";

    fn jpeg() -> Vec<u8> {
        let digits: Vec<u8> = JPEG.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
        digits.chunks(2).map(|pair| byte(pair).unwrap()).collect()
    }

    /// `jpeg` with `segment` right behind its start.
    fn with_segment(marker: u8, segment: &[u8]) -> Vec<u8> {
        let length = (2 + segment.len() as u16).to_be_bytes();
        [&jpeg()[..2], &[0xff, marker], &length, segment, &jpeg()[2..]].concat()
    }

    /// A JPEG as a camera writes it, with a whole small JPEG inside of its EXIF segment.
    fn with_thumbnail() -> Vec<u8> {
        let exif = [&b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"[..], &jpeg()].concat();
        with_segment(0xe1, &exif)
    }

    #[test]
    fn jpeg_is_decoded_and_its_cuts_are_refused() {
        let image = image_bytes(&jpeg(), None, None).unwrap();
        assert_eq!(image.shape, Shape { channels: 1, height: 8, width: 16 });
        assert!(image.pixels[0] < 20 && image.pixels[15] > 220, "{:?}", &image.pixels[..16]);
        for length in 0..jpeg().len() {
            assert!(image_bytes(&jpeg()[..length], None, None).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn the_end_of_a_thumbnail_is_not_the_end_of_the_image() {
        let whole = with_thumbnail();
        assert!(image_bytes(&whole, None, None).is_ok());
        let data = whole.len() - 8;
        for kept in data..whole.len() - 1 {
            let cut = image_bytes(&whole[..kept], None, None).unwrap_err();
            let reasons = ["cut off", "Not enough bytes"];
            assert!(reasons.iter().any(|reason| cut.contains(reason)), "{cut}");
            // A file that was allocated whole, and whose download broke off.
            let mut filled = whole.clone();
            filled[kept..].fill(0);
            filled.resize(whole.len() + 5000, 0);
            assert!(image_bytes(&filled, None, None).is_err(), "{kept} bytes and zeros");
        }
    }

    #[test]
    fn a_file_that_was_cut_and_closed_is_found() {
        let whole = jpeg();
        let data = whole.len() - 8;
        for kept in data..whole.len() - 3 {
            let closed = [&whole[..kept], b"\xff\xd9"].concat();
            let error = image_bytes(&closed, None, None).expect_err(&format!("{kept} bytes"));
            assert!(error.contains("end too early"), "{error}");
        }
    }

    #[test]
    fn a_panorama_that_is_too_wide_is_refused_with_its_size_and_the_limit() {
        let mut wide = jpeg();
        let at = wide.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        wide[at + 7..at + 9].copy_from_slice(&17_000u16.to_be_bytes());
        let error = image_bytes(&wide, None, None).unwrap_err();
        assert!(error.starts_with("17000×8 pixels take 1 MiB: an image may have"), "{error}");
    }

    #[test]
    fn what_follows_the_end_does_not_matter() {
        for tail in [&[0; 4096][..], b"<html>not found</html>", &jpeg(), b"\xff\xd9", b"\xff"] {
            let image = image_bytes(&[&jpeg(), tail].concat(), None, None).unwrap();
            assert_eq!(image, image_bytes(&jpeg(), None, None).unwrap());
        }
    }

    #[test]
    fn odd_segments_fill_bytes_and_restarts_are_walked_over() {
        let walked = |bytes: &[u8]| markers(bytes).end.is_some();
        assert!(walked(&with_segment(0xfe, &[0xff; 500])));
        assert!(walked(&with_segment(0xee, b"\xff\xd9")));
        let at = jpeg().windows(2).position(|pair| pair == [0xff, 0xdb]).unwrap();
        assert!(walked(&[&jpeg()[..at], &[0xff; 3], &jpeg()[at..]].concat()));
        assert!(walked(&[&jpeg()[..at], &[0x5a; 3], &jpeg()[at..]].concat()));
        let end = jpeg().len() - 2;
        assert!(walked(&[&jpeg()[..end], b"\xff\xd0\xff\x00abc\xff\xd1", &jpeg()[end..]].concat()));
        assert!(!walked(b"\xff\xd8\xff\xd9"), "an end without an image");
        assert!(!walked(b"\xff\xd8\xff\xda\x00"), "a length that is cut off");
        assert!(!walked(b"\xff\xda\x00\x00\xff"), "a length below two");
        let progressive = [&b"\xff\xd8\xff\xc2\x00\x02"[..], &jpeg()[2..]].concat();
        let end = Some(progressive.len() - 2);
        assert_eq!(markers(&progressive), Markers { is_progressive: true, end });
    }

    #[test]
    fn exif_orientation_turns_pixels_and_dimensions() {
        // TIFF header, one directory entry: orientation (0x112) is 6, turn 90° clockwise.
        let tiff = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        let length = (2 + 6 + tiff.len() as u16).to_be_bytes();
        let exif = [&b"\xff\xe1"[..], &length, b"Exif\0\0", tiff].concat();
        let bytes = [&jpeg()[..2], &exif, &jpeg()[2..]].concat();
        let image = image_bytes(&bytes, None, None).unwrap();
        assert_eq!(image.shape, Shape { channels: 1, height: 16, width: 8 });
        assert!(image.pixels[0] < 20 && image.pixels[8 * 15] > 220, "dark on top");
        let folder = tempfile::tempdir().unwrap();
        // The ending lies; the content counts.
        let path = folder.path().join("turned.png");
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(dimensions(&path), Ok(image.shape));
        assert_eq!(image_file(&path, None, None), Ok(image));
    }
}
