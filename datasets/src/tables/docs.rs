//! The page that documents every table and column, made of what [`schema`](super::schema) says.

use super::schema::{
    ALL, COPIES_INDEX, Column, ColumnKind, EMBED_INDEX, FILE_EMBEDDINGS, FILES_INDEX, KNOWN_CLIPS, SLICES,
    SOUNDS_INDEX, TRAINING_HISTORY, Table,
};

/// How a table is read; `manifest` stands for any of them.
const HEAD: &str = "\
# Tables

Polars reads a table with `pl.read_parquet(\"ecosight-data/tables/manifest/**/*.parquet\")`, DuckDB with `FROM 'ecosight-data/tables/manifest/**/*.parquet'`.

Tables are plain Parquet files below the data root (`--data-root`), one folder per stage. Rows of different tables belong together by `clip_id`,
and by `variant` where both have it. Columns with a unit carry it in their name: `_s` are seconds.

## Snapshots

A data root in a bucket has no folder `tables/`, since a bucket cannot exchange one for another while somebody reads. There, and in a data root on a disk
as well, `snapshots/latest.json` names the files that each table consists of, all of one state. Polars, from a disk or (with `storage_options`) from a bucket:

```python
root = \"s3://clips/station\"  # or \"ecosight-data\"
tables = pl.scan_ndjson(f\"{root}/snapshots/latest.json\").collect()[\"tables\"][0]
embed = pl.scan_parquet([f\"{root}/{part['path']}\" for part in tables[\"embed\"]])
```

DuckDB:

```sql
SET VARIABLE parts = (SELECT list_transform(tables.embed, part -> 's3://clips/station/' || part.path) FROM 's3://clips/station/snapshots/latest.json');
FROM read_parquet(getvariable('parts'));
```

pandas:

```python
tables = pd.read_json(f\"{root}/snapshots/latest.json\", lines=True)[\"tables\"][0]
embed = pd.concat([pd.read_parquet(f\"{root}/{part['path']}\") for part in tables[\"embed\"]])
```

The files that it names are never replaced. Those of an earlier state stay for a day after a run has superseded them, so a reader who has the list reads to the end. The tables
that a model was trained on are named in the same way by `models/<version>/snapshot.json`, and stay as long as the model; those that a run ended with by
`runs/<run id>/snapshot.json`, whose number is `snapshot` in `run.json`. On a disk, files of `tables/` and `snapshots/` are links to each other, which take
space once.

This page is generated from `datasets/src/tables/schema.rs`.
";

/// The page in Markdown.
pub fn markdown() -> String {
    let mut text = HEAD.to_owned();
    for table in &ALL {
        section(&mut text, table, &format!("tables/{}/", table.name));
    }
    section(&mut text, &EMBED_INDEX, "index/embed.parquet");
    section(&mut text, &FILES_INDEX, "index/files.parquet");
    section(&mut text, &SOUNDS_INDEX, "index/sounds.parquet");
    section(&mut text, &COPIES_INDEX, "index/copies.parquet");
    for table in [&TRAINING_HISTORY, &SLICES, &KNOWN_CLIPS] {
        section(&mut text, table, &format!("models/<version>/{}.parquet", table.name));
    }
    section(&mut text, &FILE_EMBEDDINGS, "the file that `ecosight embed --out FILE.parquet` writes");
    text
}

fn section(text: &mut String, table: &Table, place: &str) {
    let place = if place.contains(' ') { place.to_owned() } else { format!("`{place}`") };
    text.push_str(&format!("\n## {}\n\n{}. Lies in {place}.\n\n", table.name, capitalised(table.doc)));
    text.push_str("| column | type | may be null | meaning |\n|---|---|---|---|\n");
    text.extend(table.columns.iter().map(row));
}

fn row(column: &Column) -> String {
    let nullable = if column.nullable { "yes" } else { "" };
    let meaning = column.doc.replace('|', "\\|");
    format!("| `{}` | {} | {nullable} | {meaning} |\n", column.name, word(column.kind))
}

/// The type as readers of Parquet call it.
fn word(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Text => "text",
        ColumnKind::UInt32 => "uint32",
        ColumnKind::UInt64 => "uint64",
        ColumnKind::Float64 => "float64",
        ColumnKind::Embedding => "list of floats",
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_page_is_what_the_schema_says() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/tables.md");
        if std::env::var_os("ECOSIGHT_UPDATE_DOCS").is_some_and(|value| value == "1") {
            std::fs::create_dir_all(page.parent().unwrap()).unwrap();
            std::fs::write(&page, markdown()).unwrap();
        }
        let there = std::fs::read_to_string(&page).unwrap_or_default();
        assert!(there == markdown(), "docs/tables.md is out of date: run this test with ECOSIGHT_UPDATE_DOCS=1");
    }

    #[test]
    fn every_column_has_a_row() {
        let text = markdown();
        let indices = [&EMBED_INDEX, &FILES_INDEX, &SOUNDS_INDEX, &COPIES_INDEX];
        let others = indices.into_iter().chain([&TRAINING_HISTORY, &SLICES, &KNOWN_CLIPS, &FILE_EMBEDDINGS]);
        let columns: usize = ALL.iter().chain(others).map(|t| t.columns.len()).sum();
        assert_eq!(text.lines().filter(|line| line.starts_with("| `")).count(), columns);
    }
}
