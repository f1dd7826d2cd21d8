//! `ecosight storage cost`: what a month costs, from what is stored and what is asked for.

use chrono::{DateTime, TimeDelta, Utc};
use ecosight_datasets::DatasetError;
use ecosight_datasets::admin::Held;
use ecosight_datasets::layout::Area;
use ecosight_datasets::runtime::block_on;
use ecosight_datasets::store::{Access, Place, Store};
use serde::Serialize;

use crate::ExitStatus;
use crate::cli::args::{CostArgs, PipelineArgs};
use crate::cli::error::CliError;
use crate::cli::printer::Printer;
use crate::cli::report::table;
use crate::cli::session::Globals;
use crate::engine::{Prices, prices, stack};

/// Objects that one answer to a list names at most.
const LISTED_AT_ONCE: u64 = 1000;

/// What was done in the month that is over is taken for what will be done in the next.
const MONTH: TimeDelta = TimeDelta::days(30);

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
    /// Where the count is from.
    from: String,
    count: u64,
    month: f64,
}

/// A number, and where it is from.
struct Count {
    number: u64,
    from: &'static str,
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
    /// Names of the prices that are not the built-in ones.
    own_prices: Vec<String>,
}

/// Runs the verb.
pub(super) fn cost(args: &CostArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let prices = prices(&stack(&globals.layers(&PipelineArgs::default(), &[])?))?;
    let access = globals.access()?;
    let since = globals.started - MONTH;
    let (place, held) = match access.settings.configured() {
        Ok(place) => (place.clone(), in_bucket(place, access, since)?),
        Err(why) => {
            printer.note(&format!("{why}: these figures are for the local folder, were it in a bucket"));
            let root = globals.layout.root();
            let held = if root.is_dir() { listed(&Store::folder(root)?, since)? } else { Held::new() };
            (Place::Local(root.to_owned()), held)
        }
    };
    let uploads = match args.uploads {
        Some(number) => Count { number, from: "--uploads" },
        None => Count { number: new_recordings(&held), from: "recordings written in the last 30 days" },
    };
    let retrains = match args.retrains {
        Some(number) => Count { number, from: "--retrains" },
        None => Count { number: runs(globals, since)?, from: "runs of this data root in the last 30 days" },
    };
    let report = report(&place, held, [uploads, retrains], args.download_gb, prices)?;
    if printer.json {
        printer.document(&report)?;
    } else {
        printer.result(&text(&report))?;
    }
    Ok(ExitStatus::Ok)
}

/// Lists the bucket with the classes of storage, which only the official client tells.
#[cfg(feature = "aws-admin")]
fn in_bucket(place: &Place, access: &Access, since: DateTime<Utc>) -> Result<Held, CliError> {
    use ecosight_datasets::admin::{Admin, Wishes};
    let Ok(wishes) = Wishes::new(&access.settings) else { return Ok(listed(&Store::connect(place, access)?, since)?) };
    let since_ms = since.timestamp_millis();
    Ok(block_on(async { Admin::connect(&access.settings, wishes).await?.held(since_ms).await })?)
}

#[cfg(not(feature = "aws-admin"))]
fn in_bucket(place: &Place, access: &Access, since: DateTime<Utc>) -> Result<Held, CliError> {
    Ok(listed(&Store::connect(place, access)?, since)?)
}

/// Lists a store; everything counts as S3 Standard.
fn listed(store: &Store, since: DateTime<Utc>) -> Result<Held, DatasetError> {
    let mut held = Held::new();
    for object in block_on(store.list())?.objects {
        let area = object.uri.split_once('/').map_or("", |(area, _)| area);
        let sum = held.entry((area.to_owned(), "STANDARD".to_owned())).or_default();
        sum.add(object.size_bytes, object.modified_ms, since.timestamp_millis());
    }
    Ok(held)
}

/// Recordings that were written lately.
fn new_recordings(held: &Held) -> u64 {
    let originals = held.iter().filter(|((area, _), _)| area == Area::ExtractedAudio.name());
    originals.map(|(_, sum)| sum.new).sum()
}

/// Runs of the data root since then; the name of a run begins with its time.
fn runs(globals: &Globals, since: DateTime<Utc>) -> Result<u64, CliError> {
    let store = match globals.root() {
        place @ Place::Bucket(_) => Store::connect(place, globals.access()?)?,
        Place::Local(folder) if folder.is_dir() => Store::folder(folder)?,
        Place::Local(_) => return Ok(0),
    };
    let first = since.format("%Y%m%d-%H%M%S").to_string();
    let runs = block_on(store.entries(Area::Runs.name()))?.folders;
    Ok(runs.iter().filter(|run| **run >= first).count() as u64)
}

fn report(
    place: &Place,
    held: Held,
    [uploads, retrains]: [Count; 2],
    download_gb: u64,
    prices: Prices,
) -> Result<Report, CliError> {
    let stored: Vec<Stored> = held
        .into_iter()
        .map(|((area, class), sum)| {
            let month = prices.storage(&class, sum.objects, sum.bytes);
            Stored { area, class, objects: sum.objects, bytes: sum.bytes, month }
        })
        .collect();
    let objects: u64 = stored.iter().map(|row| row.objects).sum();
    let requests = |what, from: String, count: u64, per_1000: f64| {
        let month = count as f64 / 1000.0 * per_1000;
        Asked { what, from, count, month }
    };
    let asked = vec![
        requests("writes", uploads.from.to_owned(), uploads.number, prices.write_1000_requests),
        requests(
            "lists",
            format!("one for each 1,000 objects, {} time(s): {}", retrains.number, retrains.from),
            retrains.number.saturating_mul(objects.div_ceil(LISTED_AT_ONCE)),
            prices.write_1000_requests,
        ),
        requests(
            "reads",
            "two for each write: compared with what was sent, then read by a retrain".to_owned(),
            uploads.number.saturating_mul(2),
            prices.read_1000_requests,
        ),
        Asked {
            what: "GB to the internet",
            from: "--download-gb".to_owned(),
            count: download_gb,
            month: download_gb as f64 * prices.out_gb,
        },
    ];
    let month = stored.iter().map(|row| row.month).sum::<f64>() + asked.iter().map(|row| row.month).sum::<f64>();
    let own_prices = own(&prices)?;
    let is_in_bucket = place.bucket().is_some();
    Ok(Report { place: place.to_string(), is_in_bucket, stored, asked, month, prices, own_prices })
}

/// Names of the prices that are not the built-in ones.
fn own(prices: &Prices) -> Result<Vec<String>, CliError> {
    let (own, built_in) = (serde_json::to_value(prices)?, serde_json::to_value(Prices::default())?);
    let names = own.as_object().into_iter().flatten().filter(|(name, price)| built_in[name.as_str()] != **price);
    Ok(names.map(|(name, _)| name.clone()).filter(|name| name != "of").collect())
}

fn text(report: &Report) -> String {
    let money = |month: f64| format!("{month:.4}");
    let stored = report.stored.iter().map(|row| {
        let area = if row.area.is_empty() { "(at the top)" } else { &row.area };
        let gigabytes = row.bytes as f64 / f64::from(1 << 30);
        let what = format!("{area}, {}", row.class);
        vec![what, row.objects.to_string(), format!("{gigabytes:.3}"), money(row.month)]
    });
    let asked = report.asked.iter().map(|row| {
        let what = format!("{} ({})", row.what, row.from);
        vec![what, row.count.to_string(), money(row.month)]
    });
    let prices = &report.prices;
    let currency = format!("{}/month", prices.currency);
    let own = match report.own_prices.join(", ") {
        none if none.is_empty() => String::new(),
        names => format!("; your own: {names}"),
    };
    format!(
        "{}\n\n{}\n{}\ntotal {:.2} {currency}\nprices: {}{own}; taxes and free allowances aside\n\
         check them at https://aws.amazon.com/s3/pricing/ and set your own below [storage.prices] in ecosight.toml\n",
        report.place,
        table(&["stored", "objects", "GB", &currency], stored),
        table(&["in a month", "count", &currency], asked),
        report.month,
        prices.of,
    )
}

#[cfg(test)]
mod tests {
    use ecosight_datasets::admin::Sum;

    use super::*;

    #[test]
    fn a_month_is_what_is_stored_and_what_is_asked_for() {
        let originals = Sum { objects: 2500, bytes: 1 << 30, new: 1000 };
        let held = Held::from([
            (("extracted_audio".to_owned(), "STANDARD".to_owned()), originals),
            (("tables".to_owned(), "STANDARD".to_owned()), Sum { objects: 0, bytes: 0, new: 9 }),
        ]);
        let counts = [new_recordings(&held), 4].map(|number| Count { number, from: "x" });
        let report = report(&Place::Local("x".into()), held, counts, 1, Prices::default()).unwrap();
        assert_eq!((report.asked[0].count, report.asked[1].count), (1000, 12));
        let expected = 0.023 + 0.005 + 0.00006 + 0.0008 + 0.09;
        assert!((report.month - expected).abs() < 1e-9, "{}", report.month);
        assert_eq!(own(&Prices { of: "ours".to_owned(), out_gb: 1.0, ..Prices::default() }).unwrap(), ["out_gb"]);
    }
}
