//! `ecosight storage cost`: what a month costs, from what is stored and what is asked for.

use std::collections::BTreeMap;

use ecosight_datasets::DatasetError;
use ecosight_datasets::admin::Prices;
use ecosight_datasets::runtime::block_on;
use ecosight_datasets::store::{Access, Place, Store};
use serde::Serialize;

use crate::ExitStatus;
use crate::cli::args::CostArgs;
use crate::cli::error::CliError;
use crate::cli::printer::Printer;
use crate::cli::report::table;
use crate::cli::session::Globals;

/// Objects that one answer to a list names at most.
const LISTED_AT_ONCE: u64 = 1000;

/// Objects and bytes by area and class of storage.
type Held = BTreeMap<(String, String), (u64, u64)>;

/// What lies in one area and class.
#[derive(Serialize)]
struct Stored {
    area: String,
    class: String,
    objects: u64,
    bytes: u64,
    month: f64,
}

/// What is asked for in a month.
#[derive(Serialize)]
struct Asked {
    what: &'static str,
    count: u64,
    month: f64,
}

/// The document.
#[derive(Serialize)]
struct Report {
    place: String,
    /// Whether the bytes are in a bucket now, or the figures are those of moving them there.
    is_in_bucket: bool,
    stored: Vec<Stored>,
    asked: Vec<Asked>,
    month: f64,
    prices: Prices,
}

/// Runs the verb.
pub(super) fn cost(args: &CostArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let prices = prices(args)?;
    let access = globals.access()?;
    let (place, held) = match access.settings.configured() {
        Ok(place) => (place.clone(), in_bucket(place, access)?),
        Err(why) => {
            printer.note(&format!("{why}: these figures are for the local folder, were it in a bucket"));
            let root = globals.layout.root();
            (Place::Local(root.to_owned()), if root.is_dir() { listed(&Store::folder(root)?)? } else { Held::new() })
        }
    };
    let report = report(&place, held, args, prices);
    if printer.json {
        printer.document(&report)?;
    } else {
        printer.result(&text(&report))?;
    }
    Ok(ExitStatus::Ok)
}

fn prices(args: &CostArgs) -> Result<Prices, CliError> {
    let Some(path) = &args.prices else { return Ok(Prices::default()) };
    let hint = "`ecosight storage cost --json` shows the names of all prices";
    let unusable = |why: String| CliError::usage(format!("cannot use the prices in `{}`: {why}", path.display()), hint);
    let text = std::fs::read_to_string(path).map_err(|error| unusable(error.to_string()))?;
    let prices: Prices = toml::from_str(&text).map_err(|error| unusable(error.to_string()))?;
    prices.check().map_err(|error| unusable(error.to_string()))?;
    Ok(prices)
}

/// Lists the bucket with the classes of storage, which only the official client tells.
#[cfg(feature = "aws-admin")]
fn in_bucket(place: &Place, access: &Access) -> Result<Held, CliError> {
    use ecosight_datasets::admin::{Admin, Wishes};
    let Ok(wishes) = Wishes::new(&access.settings) else { return Ok(listed(&Store::connect(place, access)?)?) };
    Ok(block_on(async { Admin::connect(&access.settings, wishes).await?.held().await })?)
}

#[cfg(not(feature = "aws-admin"))]
fn in_bucket(place: &Place, access: &Access) -> Result<Held, CliError> {
    Ok(listed(&Store::connect(place, access)?)?)
}

/// Lists a store; everything counts as S3 Standard.
fn listed(store: &Store) -> Result<Held, DatasetError> {
    let mut held = Held::new();
    for object in block_on(store.list())?.objects {
        let area = object.uri.split_once('/').map_or("", |(area, _)| area);
        let sum = held.entry((area.to_owned(), "STANDARD".to_owned())).or_default();
        sum.0 += 1;
        sum.1 += object.size_bytes;
    }
    Ok(held)
}

fn report(place: &Place, held: Held, args: &CostArgs, prices: Prices) -> Report {
    let stored: Vec<Stored> = held
        .into_iter()
        .map(|((area, class), (objects, bytes))| {
            let month = prices.storage(&class, objects, bytes);
            Stored { area, class, objects, bytes, month }
        })
        .collect();
    let objects: u64 = stored.iter().map(|row| row.objects).sum();
    let lists = args.retrains.saturating_mul(objects.div_ceil(LISTED_AT_ONCE));
    // An upload is written, and its size and checksum asked for; a recording is read once, by the retrain after it.
    let reads = args.uploads.saturating_mul(2);
    let requests = |what, count: u64, per_1000: f64| Asked { what, count, month: count as f64 / 1000.0 * per_1000 };
    let asked = vec![
        requests("writes", args.uploads, prices.write_1000_requests),
        requests("lists", lists, prices.write_1000_requests),
        requests("reads", reads, prices.read_1000_requests),
        Asked { what: "GB to the internet", count: args.download_gb, month: args.download_gb as f64 * prices.out_gb },
    ];
    let month = stored.iter().map(|row| row.month).sum::<f64>() + asked.iter().map(|row| row.month).sum::<f64>();
    Report { place: place.to_string(), is_in_bucket: place.bucket().is_some(), stored, asked, month, prices }
}

fn text(report: &Report) -> String {
    let money = |month: f64| format!("{month:.4}");
    let stored = report.stored.iter().map(|row| {
        let area = if row.area.is_empty() { "(at the top)" } else { &row.area };
        let gigabytes = row.bytes as f64 / f64::from(1 << 30);
        let what = format!("{area}, {}", row.class);
        vec![what, row.objects.to_string(), format!("{gigabytes:.3}"), money(row.month)]
    });
    let asked = report.asked.iter().map(|row| vec![row.what.to_owned(), row.count.to_string(), money(row.month)]);
    let prices = &report.prices;
    let currency = format!("{}/month", prices.currency);
    format!(
        "{}\n\n{}\n{}\ntotal {:.2} {currency}\nprices: {}; taxes and free allowances aside\n",
        report.place,
        table(&["stored", "objects", "GB", &currency], stored),
        table(&["in a month", "count", &currency], asked),
        report.month,
        prices.of,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_what_is_stored_and_what_is_asked_for() {
        let held = Held::from([(("extracted_audio".to_owned(), "STANDARD".to_owned()), (2500, 1 << 30))]);
        let args = CostArgs { uploads: 1000, retrains: 4, download_gb: 1, prices: None };
        let report = report(&Place::Local("x".into()), held, &args, Prices::default());
        assert_eq!(report.asked[1].count, 12);
        let expected = 0.023 + 0.005 + 0.00006 + 0.0008 + 0.09;
        assert!((report.month - expected).abs() < 1e-9, "{}", report.month);
    }
}
