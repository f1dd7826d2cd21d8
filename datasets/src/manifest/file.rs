//! Reading a manifest that a person wrote: CSV or Parquet with the columns `uri` and `label`, and optionally `start_s`, `end_s`,
//! `recording_id`, `fold`, `site`, `device`, `recorded_at`. Other columns are ignored.

use std::io::Cursor;

use polars::prelude::{CsvReadOptions, DataFrame, ParquetReader, SerReader};

use crate::DatasetError;
use crate::audio::Span;
use crate::manifest::Entry;
use crate::moment::Moment;
use crate::store::Place;
use crate::tables::Columns;

/// The columns that mean something.
const COLUMNS: [&str; 9] =
    ["uri", "label", "recording_id", "fold", "site", "device", "recorded_at", "start_s", "end_s"];

/// The entries of the manifest at `place`, which holds `bytes`, and its columns that are ignored.
pub fn read_manifest_file(place: &Place, bytes: Vec<u8>) -> Result<(Vec<Entry>, Vec<String>), DatasetError> {
    let frame = read_frame(place, bytes)?;
    let name = place.to_string();
    let columns = Columns { frame: &frame, table: &name };
    for required in ["uri", "label"] {
        if !columns.has(required) {
            let have = frame.get_column_names().iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
            let why = format!("it has no column `{required}` (it has {have})");
            return Err(DatasetError::invalid("read manifest", &name, why));
        }
    }
    let n = frame.height();
    let text = |name: &str| {
        if columns.has(name) { columns.optional_text(name) } else { Ok(vec![None; n]) }
    };
    let number = |name: &str| -> Result<Vec<Option<f64>>, DatasetError> {
        let parse = |(row, text): (usize, Option<String>)| {
            let text = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
            text.map(|text| text.parse().map_err(|_| no_number(place, name, row, &text))).transpose()
        };
        text(name)?.into_iter().enumerate().map(parse).collect()
    };
    let (uri, label) = (columns.text("uri")?, columns.optional_text("label")?);
    let (recording, fold, site) = (text("recording_id")?, text("fold")?, text("site")?);
    let (device, recorded_at) = (text("device")?, text("recorded_at")?);
    let (start, end) = (number("start_s")?, number("end_s")?);
    let mut entries = Vec::with_capacity(n);
    for i in 0..n {
        let span = match (start[i], end[i]) {
            (None, None) => None,
            (start_s, end_s) => Some(Span { start_s: start_s.unwrap_or(0.0), end_s }),
        };
        if span.is_some_and(|s| !(s.start_s >= 0.0 && s.end_s.is_none_or(|end| end > s.start_s))) {
            let why =
                format!("row {} below the header: `end_s` must be greater than `start_s`, and both at least 0", i + 1);
            return Err(DatasetError::invalid("read manifest", &name, why));
        }
        if let Some(text) = recorded_at[i].as_deref().filter(|text| Moment::parse(text).is_none()) {
            let why = format!(
                "row {} below the header: `recorded_at` is `{text}`, which is neither `2026-03-01` nor `2026-03-01T07:05:09`",
                i + 1
            );
            return Err(DatasetError::invalid("read manifest", &name, why));
        }
        entries.push(Entry {
            uri: uri[i].clone(),
            label: label[i].as_deref().map(|l| l.trim().to_owned()).filter(|l| !l.is_empty()),
            recording_id: recording[i].clone(),
            fold: fold[i].clone(),
            site: site[i].clone(),
            device: device[i].clone(),
            recorded_at: recorded_at[i].clone(),
            span,
            etag: None,
            size_bytes: None,
            explicit: true,
        });
    }
    let names = frame.get_column_names().into_iter().map(ToString::to_string);
    Ok((entries, names.filter(|name| !COLUMNS.contains(&name.as_str())).collect()))
}

fn no_number(place: &Place, column: &str, row: usize, text: &str) -> DatasetError {
    let why = format!("row {} below the header: `{column}` is `{text}`, which is no number", row + 1);
    DatasetError::invalid("read manifest", place.to_string(), why)
}

fn read_frame(place: &Place, bytes: Vec<u8>) -> Result<DataFrame, DatasetError> {
    let bytes = Cursor::new(bytes);
    let frame = if place.extension().as_deref() == Some("csv") {
        // Without inference every column is text, so that a fold `01` stays `01`.
        let options = CsvReadOptions::default().with_infer_schema_length(Some(0));
        options.into_reader_with_file_handle(bytes).finish()
    } else {
        ParquetReader::new(bytes).finish()
    };
    frame.map_err(|error| DatasetError::new("read manifest", place.to_string(), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csv(text: &str) -> Result<(Vec<Entry>, Vec<String>), DatasetError> {
        read_manifest_file(&Place::parse("m.csv").unwrap(), text.into())
    }

    #[test]
    fn columns_are_found_by_name_and_text_stays_text() {
        let (entries, ignored) =
            csv("label,site,uri,fold,start_s,end_s,mood,device,recorded_at\ndog,x,\"a, b.wav\",01,1.5,2,good,7,2026-03-01\ncat,y,c.wav,,,,,,\n").unwrap();
        assert_eq!((ignored, entries[1].site.as_deref()), (vec!["mood".to_owned()], Some("y")));
        assert_eq!(entries[0].uri, "a, b.wav");
        assert_eq!(entries[0].fold.as_deref(), Some("01"));
        let told = |n: usize| (entries[n].device.as_deref(), entries[n].recorded_at.as_deref());
        assert_eq!((told(0), told(1)), ((Some("7"), Some("2026-03-01")), (None, None)));
        assert_eq!(entries[0].span, Some(Span { start_s: 1.5, end_s: Some(2.0) }));
        assert_eq!((entries[1].fold.as_deref(), entries[1].span), (None, None));
    }

    #[test]
    fn a_bad_manifest_says_what_is_wrong() {
        let cause = |text| csv(text).unwrap_err().kind.to_string();
        assert!(cause("uri,class\na,b\n").contains("no column `label` (it has `uri`, `class`)"));
        assert!(cause("uri,label,start_s,end_s\na,b,3,2\n").contains("row 1"));
        assert!(cause("uri,label\n,b\n").contains("no value in row 1"));
        assert!(cause("uri,label,start_s\na,b,soon\n").contains("`start_s` is `soon`"));
        assert!(cause("uri,label,recorded_at\na,b,yesterday\n").contains("`recorded_at` is `yesterday`"));
        assert!(csv("").is_err());
    }
}
