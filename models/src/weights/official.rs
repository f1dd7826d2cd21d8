//! Where Google publishes YAMNet's weights, and how to recognise the file.

/// Address of the published file (YAMNet's `README.md`), 15 MB.
pub const OFFICIAL_URL: &str = "https://storage.googleapis.com/audioset/yamnet.h5";

/// SHA-256 of the published file, hexadecimal.
pub const OFFICIAL_SHA256: &str = "13c3308955bbfaef262f175ac9c40e47b134573a93984f009220dd7cc12a1744";
