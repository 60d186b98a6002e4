//! Encodes images as PNG.

/// Encodes `pixels` (height × width × channels, row-major) as PNG: grey, or red, green, blue; of other numbers
/// of channels the first is shown.
///
/// # Panics
/// If there are not as many pixels as the shape says.
pub fn png([height, width, channels]: [usize; 3], pixels: &[u8]) -> Vec<u8> {
    let mut bytes = vec![];
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(if channels == 3 { png::ColorType::Rgb } else { png::ColorType::Grayscale });
    encoder.set_depth(png::BitDepth::Eight);
    let first: Vec<u8>;
    let data = match channels {
        1 | 3 => pixels,
        _ => {
            first = pixels.iter().copied().step_by(channels).collect();
            &first
        }
    };
    let mut writer = encoder.write_header().expect("an image has a size");
    writer.write_image_data(data).expect("the pixels of one image");
    drop(writer);
    bytes
}
