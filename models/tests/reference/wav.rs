//! WAV files of 32-bit floating-point samples.

use std::path::Path;

/// The samples of a mono file.
pub(crate) fn read(path: &Path) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap();
    let mut chunk = 12;
    loop {
        let size = u32::from_le_bytes(bytes[chunk + 4..chunk + 8].try_into().unwrap()) as usize;
        let content = &bytes[chunk + 8..chunk + 8 + size];
        match &bytes[chunk..chunk + 4] {
            b"fmt " => assert_eq!(content[..4], [3, 0, 1, 0], "mono floating point"),
            b"data" => {
                return content.as_chunks().0.iter().map(|&value| f32::from_le_bytes(value)).collect();
            }
            _ => {}
        }
        chunk += 8 + size + size % 2;
    }
}
