//! One channel of an image in another size.
//!
//! The library is generic over kinds of pixels, of which this is the only one here, and in one place: it
//! would be compiled anew for each.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use serde::{Deserialize, Serialize};

/// How pixels between pixels are found; all of them average where the image gets smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// The nearest pixel.
    Nearest,
    /// A triangle.
    Bilinear,
    /// Cubic, a = -0.5, as in Pillow.
    Bicubic,
    /// Lanczos of three lobes.
    Lanczos,
}

/// Resizes a channel of `[height, width]` pixels to the size `to` in fixed point; the bytes are the same on
/// every machine. The same size is a plain copy.
///
/// # Panics
/// If a side is 0 or `plane` does not hold `height * width` pixels: callers check both.
pub fn scaled(
    filter: Filter,
    plane: &[u8],
    [height, width]: [usize; 2],
    to: [usize; 2],
) -> Vec<u8> {
    if [height, width] == to {
        return plane.to_vec();
    }
    let algorithm = match filter {
        Filter::Nearest => ResizeAlg::Nearest,
        Filter::Bilinear => ResizeAlg::Convolution(FilterType::Bilinear),
        Filter::Bicubic => ResizeAlg::Convolution(FilterType::CatmullRom),
        Filter::Lanczos => ResizeAlg::Convolution(FilterType::Lanczos3),
    };
    let from = TypedImageRef::<U8>::from_buffer(width as u32, height as u32, plane)
        .expect("a plane holds height × width bytes");
    let mut pixels = vec![0; to[0] * to[1]];
    let mut result = TypedImage::<U8>::from_buffer(to[1] as u32, to[0] as u32, &mut pixels)
        .expect("it was made in that size");
    let options = ResizeOptions::new().resize_alg(algorithm);
    Resizer::new()
        .resize_typed(&from, &mut result, &options)
        .expect("the whole of the plane is inside it");
    pixels
}
