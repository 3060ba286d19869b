//! Small images as files.

/// `pixels` `[height, width, channels]` as PNG; none where the sizes are not those of an image.
pub(crate) fn png(pixels: &[u8], [height, width, channels]: [usize; 3]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let size = (u32::try_from(width).ok()?, u32::try_from(height).ok()?);
    let mut encoder = png::Encoder::new(&mut bytes, size.0, size.1);
    encoder.set_color(if channels == 1 { png::ColorType::Grayscale } else { png::ColorType::Rgb });
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(pixels).ok()?;
    writer.finish().ok()?;
    Some(bytes)
}
