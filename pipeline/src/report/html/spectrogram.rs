//! Spectrograms as pictures inside the page.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::Spectrogram;

/// Quiet to loud: every 32nd colour of matplotlib's `magma` and its last; dark to light, so that it reads without colours, too.
const MAGMA: [[u8; 3]; 9] = [
    [0, 0, 4],
    [28, 16, 68],
    [79, 18, 123],
    [129, 37, 129],
    [181, 54, 122],
    [229, 80, 100],
    [251, 135, 97],
    [254, 194, 135],
    [252, 253, 191],
];

/// A PNG as a data URI, one pixel for each value, low bands at the bottom; none for a spectrogram without values.
pub(super) fn data_uri(spectrogram: &Spectrogram) -> Option<String> {
    if spectrogram.levels.is_empty() {
        return None;
    }
    Some(format!("data:image/png;base64,{}", STANDARD.encode(png(spectrogram))))
}

fn png(spectrogram: &Spectrogram) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, spectrogram.frames as u32, spectrogram.bands as u32);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(palette());
    let rows: Vec<u8> = spectrogram.levels.chunks_exact(spectrogram.frames).rev().flatten().copied().collect();
    let mut writer = encoder.write_header().expect("a vector takes what is written");
    writer.write_image_data(&rows).expect("the rows are as many as the header says");
    writer.finish().expect("a vector takes what is written");
    bytes
}

/// 256 colours, straight lines between those given.
fn palette() -> Vec<u8> {
    let color = |level: usize| {
        let (at, share) = (level / 32, level % 32);
        std::array::from_fn::<u8, 3, _>(|channel| {
            let (a, b) = (usize::from(MAGMA[at][channel]), usize::from(MAGMA[at + 1][channel]));
            ((a * (32 - share) + b * share) / 32) as u8
        })
    };
    (0..256).flat_map(color).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_has_low_bands_at_the_bottom_and_the_levels_as_they_are() {
        let picture = Spectrogram { bands: 2, frames: 3, levels: vec![0, 1, 2, 253, 254, 255] };
        let bytes = png(&picture);
        let mut decoder = png::Decoder::new(std::io::Cursor::new(&bytes));
        decoder.set_transformations(png::Transformations::IDENTITY);
        let mut reader = decoder.read_info().unwrap();
        let mut rows = vec![0; 6];
        reader.next_frame(&mut rows).unwrap();
        assert_eq!((reader.info().width, reader.info().height), (3, 2));
        assert_eq!(rows, [253, 254, 255, 0, 1, 2]);
        let palette = reader.info().palette.as_deref().unwrap();
        assert_eq!((&palette[..3], &palette[96..99]), (&MAGMA[0][..], &MAGMA[1][..]));
        assert_eq!(data_uri(&Spectrogram::default()), None);
    }
}
