//! Digests of columns: whether a stage has to run again depends on the columns that it reads, and on nothing else.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt32Type, UInt64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;

use crate::key::{Key, KeyHasher};

/// Digest of each column, by its name.
pub type Digests = BTreeMap<String, Key>;

/// The digest of each column of a small table. Rows count in the order of `clip_id` and `variant`, where there are such columns, whatever
/// their order in the file: a file that was renamed, and is sorted in elsewhere, changes `uri` alone.
pub fn column_digests(batch: &RecordBatch) -> Digests {
    let order = order(batch);
    let digest = |(field, array): (&std::sync::Arc<arrow_schema::Field>, &arrow_array::ArrayRef)| {
        (field.name().clone(), digest(field.name(), array.as_ref(), &order))
    };
    batch.schema().fields().iter().zip(batch.columns()).map(digest).collect()
}

/// The rows in the order of their identity.
fn order(batch: &RecordBatch) -> Vec<usize> {
    let mut order: Vec<usize> = (0..batch.num_rows()).collect();
    let ids = batch.column_by_name("clip_id").and_then(|array| array.as_string_opt::<i32>());
    let variants = batch.column_by_name("variant").and_then(|array| array.as_primitive_opt::<UInt32Type>());
    if let Some(ids) = ids {
        order.sort_by_key(|&row| (ids.value(row), variants.map_or(0, |variants| variants.value(row)), row));
    }
    order
}

fn digest(name: &str, array: &dyn Array, order: &[usize]) -> Key {
    let start = KeyHasher::new("column").str(name).u64(order.len() as u64);
    let fold = |add: &dyn Fn(KeyHasher, usize) -> KeyHasher| {
        let add = |key: KeyHasher, &row: &usize| if array.is_null(row) { key.null() } else { add(key, row) };
        order.iter().fold(start, add).finish()
    };
    match array.data_type() {
        DataType::UInt32 => {
            let values = array.as_primitive::<UInt32Type>().values();
            fold(&|key, row| key.u64(values[row].into()))
        }
        DataType::UInt64 => {
            let values = array.as_primitive::<UInt64Type>().values();
            fold(&|key, row| key.u64(values[row]))
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>().values();
            fold(&|key, row| key.f64(values[row]))
        }
        _ => {
            let values = array.as_string::<i32>();
            fold(&|key, row| key.str(values.value(row)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{ClipId, ContentHash};
    use crate::tables::{Row, Side, SplitRow};

    fn row(n: u8, side: Side) -> SplitRow {
        let clip_id = ClipId::of_file(&ContentHash::of_reader(&[n][..]).unwrap());
        SplitRow { fold: (n > 1).then(|| "a".to_owned()), ..SplitRow::new(clip_id, n.to_string(), side) }
    }

    #[test]
    fn the_order_of_rows_does_not_count_and_each_column_counts_for_itself() {
        let digests = |rows: &[SplitRow]| column_digests(&SplitRow::batch(rows).unwrap());
        let (a, b, c) = (row(1, Side::Train), row(2, Side::Val), row(2, Side::Test));
        let before = digests(&[a.clone(), b.clone()]);
        assert_eq!(before, digests(&[b, a.clone()]));
        let after = digests(&[a, c]);
        let changed: Vec<_> = before.keys().filter(|name| before[*name] != after[*name]).collect();
        assert_eq!(changed, ["split"]);
    }
}
