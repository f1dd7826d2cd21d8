//! NumPy archives of little-endian f32 arrays: a zip file with one `.npy` per array.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use flate2::read::DeflateDecoder;

/// The f32 arrays of an archive by name, without their shapes; arrays of other types are left out.
pub(crate) fn read(path: &Path) -> BTreeMap<String, Vec<f32>> {
    let bytes = std::fs::read(path).unwrap();
    let end = bytes.windows(4).rposition(|w| w == b"PK\x05\x06").expect("a zip file ends with its directory");
    let mut entry = number(&bytes, end + 16, 4);
    let mut arrays = BTreeMap::new();
    for _ in 0..number(&bytes, end + 10, 2) {
        let (method, size) = (number(&bytes, entry + 10, 2), number(&bytes, entry + 20, 4));
        let (name_len, extra_len, comment_len) =
            (number(&bytes, entry + 28, 2), number(&bytes, entry + 30, 2), number(&bytes, entry + 32, 2));
        let local = number(&bytes, entry + 42, 4);
        let name = String::from_utf8(bytes[entry + 46..entry + 46 + name_len].to_vec()).unwrap();
        let data = local + 30 + number(&bytes, local + 26, 2) + number(&bytes, local + 28, 2);
        let stored = &bytes[data..data + size];
        let mut content = Vec::new();
        match method {
            0 => content.extend_from_slice(stored),
            8 => drop(DeflateDecoder::new(stored).read_to_end(&mut content).unwrap()),
            other => panic!("`{name}` is compressed by method {other}"),
        }
        if let Some(values) = array(&content) {
            arrays.insert(name.trim_end_matches(".npy").to_owned(), values);
        }
        entry += 46 + name_len + extra_len + comment_len;
    }
    arrays
}

/// Values of a version 1 `.npy` in C order.
fn array(npy: &[u8]) -> Option<Vec<f32>> {
    let data = 10 + number(npy, 8, 2);
    let header = std::str::from_utf8(&npy[10..data]).unwrap();
    let readable = header.contains("'<f4'") && header.contains("'fortran_order': False");
    readable.then(|| npy[data..].as_chunks().0.iter().map(|&value| f32::from_le_bytes(value)).collect())
}

/// A little-endian number of `len` bytes.
fn number(bytes: &[u8], at: usize, len: usize) -> usize {
    bytes[at..at + len].iter().rev().fold(0, |value, &byte| value << 8 | usize::from(byte))
}
