//! Image files, through our decoding.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use pemm_data::decode::{dimensions, image_bytes};

use crate::{MIB, Target, place};

/// Two images of 512 MiB, and the planes that are made of one.
const MAX_BYTES: usize = 2560 * MIB;

pub(crate) const TARGETS: [Target; 6] = [
    Target { name: "jpeg", seeds: jpeg, read, max_bytes: MAX_BYTES },
    Target { name: "png", seeds: png, read, max_bytes: MAX_BYTES },
    Target { name: "webp", seeds: webp, read, max_bytes: MAX_BYTES },
    Target { name: "bmp", seeds: bmp, read, max_bytes: MAX_BYTES },
    Target { name: "gif", seeds: gif, read, max_bytes: MAX_BYTES },
    Target { name: "tiff", seeds: tiff, read, max_bytes: MAX_BYTES },
];

fn read(bytes: &[u8]) {
    /// Pixels up to which every image is decoded; of larger ones, which take seconds, a few.
    const SMALL: usize = 1 << 18;
    let path = place::write(&place::folder("images"), "image", bytes);
    let is_large = dimensions(&path).is_ok_and(|shape| shape.height * shape.width > SMALL);
    let sum = bytes.iter().fold(0u32, |sum, &byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    if is_large && !sum.is_multiple_of(1000) {
        return;
    }
    let _ = image_bytes(bytes, None, None);
    let _ = image_bytes(bytes, Some(1 + 2 * (bytes.len() % 2)), Some([3, 5]));
}

fn jpeg() -> Vec<Vec<u8>> {
    vec![
        include_bytes!("../../crates/pemm-cli/tests/cli/grey-16x8.jpg").to_vec(),
        include_bytes!("../seeds/colour.jpg").to_vec(),
        include_bytes!("../seeds/progressive.jpg").to_vec(),
        include_bytes!("../seeds/cmyk.jpg").to_vec(),
    ]
}

fn png() -> Vec<Vec<u8>> {
    let kept: [&[u8]; 2] =
        [include_bytes!("../seeds/palette.png"), include_bytes!("../seeds/odd-palette.png")];
    with(ImageFormat::Png, &kept)
}

fn webp() -> Vec<Vec<u8>> {
    let kept: [&[u8]; 3] = [
        include_bytes!("../seeds/lossy.webp"),
        include_bytes!("../seeds/alpha.webp"),
        include_bytes!("../seeds/animated.webp"),
    ];
    with(ImageFormat::WebP, &kept)
}

fn bmp() -> Vec<Vec<u8>> {
    with(ImageFormat::Bmp, &[include_bytes!("../seeds/palette.bmp")])
}

fn gif() -> Vec<Vec<u8>> {
    with(ImageFormat::Gif, &[include_bytes!("../seeds/interlaced.gif")])
}

fn tiff() -> Vec<Vec<u8>> {
    with(ImageFormat::Tiff, &[include_bytes!("../seeds/lzw.tif")])
}

/// A picture of each colour type as `format` holds it, and what our encoders do not write.
fn with(format: ImageFormat, kept: &[&[u8]]) -> Vec<Vec<u8>> {
    let value = |x: u32, y: u32| (89 + x * 13 + y * 29) as u8;
    let rgb = RgbImage::from_fn(8, 6, |x, y| Rgb([value(x, y), value(y, x), 77]));
    let rgb = DynamicImage::from(rgb);
    let kinds: [DynamicImage; 5] = [
        rgb.to_luma8().into(),
        rgb.to_luma_alpha8().into(),
        rgb.to_rgba8().into(),
        rgb.to_rgb16().into(),
        rgb,
    ];
    let encoded = kinds.iter().filter_map(|image| {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).is_ok().then(|| bytes.into_inner())
    });
    encoded.chain(kept.iter().map(|bytes| bytes.to_vec())).collect()
}
