//! Transparency: an image is what one sees when it lies on white paper.
//!
//! A value v under opacity a becomes v·a + white·(1 - a), rounded. Dropping alpha instead would
//! show the colours that happen to be stored under what is invisible, mostly black, and make the
//! edges of a logo a class of its own.

use image::DynamicImage;

/// Lays the image on white and makes it opaque; whether anything was transparent.
pub(super) fn lay_on_white(image: &mut DynamicImage) -> bool {
    match image {
        DynamicImage::ImageLumaA8(image) => on_white::<2, u8>(image, 255),
        DynamicImage::ImageRgba8(image) => on_white::<4, u8>(image, 255),
        DynamicImage::ImageLumaA16(image) => on_white::<2, u16>(image, 65_535),
        DynamicImage::ImageRgba16(image) => on_white::<4, u16>(image, 65_535),
        // Grey and RGB have no alpha; floating-point images are refused by their header.
        _ => false,
    }
}

/// `N` values a pixel, of which the last is the opacity.
fn on_white<const N: usize, T>(values: &mut [T], white: u64) -> bool
where
    T: Copy + Into<u64> + TryFrom<u64>,
{
    let value = |number: u64| T::try_from(number).ok().expect("it is not above white");
    let mut is_transparent = false;
    for pixel in values.as_chunks_mut::<N>().0 {
        let alpha: u64 = pixel[N - 1].into();
        if alpha == white {
            continue;
        }
        is_transparent = true;
        for channel in &mut pixel[..N - 1] {
            let mixed = (*channel).into() * alpha + white * (white - alpha);
            *channel = value((mixed + white / 2) / white);
        }
        pixel[N - 1] = value(white);
    }
    is_transparent
}

#[cfg(test)]
mod tests {
    use image::{ImageBuffer, LumaA, Rgba};

    use super::*;

    #[test]
    fn opaque_stays_invisible_is_white_and_half_is_between() {
        let mut image: DynamicImage =
            ImageBuffer::from_fn(3, 1, |x, _| Rgba([10u8, 20, 30, [255, 0, 51][x as usize]]))
                .into();
        assert!(lay_on_white(&mut image));
        let expected = [10, 20, 30, 255, 255, 255, 255, 255, 206, 208, 210, 255];
        assert_eq!(image.as_bytes(), expected);
        assert!(!lay_on_white(&mut image), "now it is opaque");
    }

    #[test]
    fn deep_and_grey_images_too() {
        let mut grey: DynamicImage = ImageBuffer::from_pixel(1, 1, LumaA([0x8000u16, 0])).into();
        assert!(lay_on_white(&mut grey));
        assert_eq!(grey.into_luma8().into_raw(), [255]);
        let mut deep: DynamicImage =
            ImageBuffer::from_pixel(1, 1, Rgba([0u16, 65_535, 257, 32_768])).into();
        assert!(lay_on_white(&mut deep));
        assert_eq!(deep.into_rgb8().into_raw(), [127, 255, 128]);
        assert!(!lay_on_white(&mut DynamicImage::new_rgb8(2, 2)));
    }
}
