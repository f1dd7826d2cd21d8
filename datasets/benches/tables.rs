//! The table of embeddings, written and read; an item is a row of 1024 values of which four fifths are zero, as YAMNet's are.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use ecosight_datasets::key::{ClipId, ContentHash, KeyHasher, UnitKey};
use ecosight_datasets::layout::Layout;
use ecosight_datasets::tables::schema::{ValueType, Vectors};
use ecosight_datasets::tables::{EmbedFormat, EmbedReader, EmbedTable, EmbedWriter, Patches, Unit, UnitEntry};

const DIM: usize = 1024;
/// Rows of the table, ten for each clip.
const ROWS: usize = 5000;

fn main() {
    divan::main();
}

fn patches() -> Patches {
    let mut state = 1_u32;
    let mut value = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if state >> 24 < 205 { 0.0 } else { (state & 0xffff) as f32 / 65_536.0 }
    };
    let embeddings = (0..10 * DIM).map(|_| value()).collect();
    Patches { first: 0, start_s: (0..10).map(|k| f64::from(k) * 0.48).collect(), embeddings }
}

fn write(layout: &Layout, values: ValueType) {
    let vectors = Vectors { dim: DIM, values };
    let format = EmbedFormat { embedder: "bench-v1".to_owned(), vectors, metadata: Vec::new() };
    let staging = EmbedTable::staging(layout, "bench-v1");
    let mut parts = EmbedWriter::new(&staging, format.clone());
    for clip in 0..ROWS / 10 {
        let hash = ContentHash::of_reader(&clip.to_le_bytes()[..]).expect("bytes in memory");
        let unit = Unit { clip_id: ClipId::of_file(&hash), variant: 0 };
        let key = UnitKey::of(KeyHasher::new("bench").u64(clip as u64).finish());
        let entry = UnitEntry { unit, key, recipe: "original".into() };
        parts.write([(entry, black_box(patches()))]).expect("room on the disk");
    }
    parts.finish().expect("room on the disk");
    let table = EmbedTable::open(layout, "bench-v1").expect("the parts were written");
    let all = table.present();
    table.commit(&format, &all, false, &|| false).expect("room on the disk");
}

#[divan::bench(args = [ValueType::Float32, ValueType::Float16], sample_count = 10)]
fn write_rows(bencher: Bencher, values: ValueType) {
    let dir = tempfile::tempdir().expect("a folder");
    bencher.counter(ItemsCount::new(ROWS)).bench_local(|| write(&Layout::new(dir.path()), values));
}

#[divan::bench(args = [ValueType::Float32, ValueType::Float16], sample_count = 10)]
fn read_rows(bencher: Bencher, values: ValueType) {
    let dir = tempfile::tempdir().expect("a folder");
    let layout = Layout::new(dir.path());
    write(&layout, values);
    bencher.counter(ItemsCount::new(ROWS)).bench_local(|| {
        let reader = EmbedReader::open(&layout).expect("the table was written");
        reader.map(|run| run.expect("the table is whole").1.len()).sum::<usize>()
    });
}
