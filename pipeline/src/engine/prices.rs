//! What storage and requests cost: the table `[storage.prices]` of the pipeline file.

use ecosight_stages::params::{Params, Problem, within};
use serde::{Deserialize, Serialize};

/// No price is as high as this.
const HIGHEST: f64 = 1_000_000.0;

/// Prices of one region. The file names those that differ from the defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Prices {
    /// Where and when these are the prices, for people.
    pub of: String,
    /// Currency of all of them.
    pub currency: String,
    /// A gigabyte (1024³ bytes) of S3 Standard for a month.
    pub standard_gb_month: f64,
    /// A gigabyte of Intelligent-Tiering that is read often, for a month.
    pub intelligent_tiering_gb_month: f64,
    /// Watching a thousand objects of Intelligent-Tiering for a month.
    pub intelligent_tiering_1000_objects_month: f64,
    /// A gigabyte of Standard-IA for a month.
    pub standard_ia_gb_month: f64,
    /// A gigabyte of Glacier Instant Retrieval for a month.
    pub glacier_ir_gb_month: f64,
    /// A gigabyte of Glacier Flexible Retrieval for a month.
    pub glacier_gb_month: f64,
    /// A gigabyte of Glacier Deep Archive for a month.
    pub deep_archive_gb_month: f64,
    /// A thousand requests that write, copy or list.
    pub write_1000_requests: f64,
    /// A thousand requests that read.
    pub read_1000_requests: f64,
    /// A gigabyte that leaves for the internet.
    pub out_gb: f64,
}

impl Default for Prices {
    /// List prices without free allowances or volume discounts, as <https://aws.amazon.com/s3/pricing/> told them in 2025.
    fn default() -> Self {
        Self {
            of: "list prices of us-east-1 in 2025, before any discount".to_owned(),
            currency: "USD".to_owned(),
            standard_gb_month: 0.023,
            intelligent_tiering_gb_month: 0.023,
            intelligent_tiering_1000_objects_month: 0.0025,
            standard_ia_gb_month: 0.0125,
            glacier_ir_gb_month: 0.004,
            glacier_gb_month: 0.0036,
            deep_archive_gb_month: 0.00099,
            write_1000_requests: 0.005,
            read_1000_requests: 0.0004,
            out_gb: 0.09,
        }
    }
}

impl Params for Prices {
    const KEYS: &'static [&'static str] = &[
        "of",
        "currency",
        "standard_gb_month",
        "intelligent_tiering_gb_month",
        "intelligent_tiering_1000_objects_month",
        "standard_ia_gb_month",
        "glacier_ir_gb_month",
        "glacier_gb_month",
        "deep_archive_gb_month",
        "write_1000_requests",
        "read_1000_requests",
        "out_gb",
    ];

    fn problems(&self) -> Vec<Problem> {
        let all = [
            self.standard_gb_month,
            self.intelligent_tiering_gb_month,
            self.intelligent_tiering_1000_objects_month,
            self.standard_ia_gb_month,
            self.glacier_ir_gb_month,
            self.glacier_gb_month,
            self.deep_archive_gb_month,
            self.write_1000_requests,
            self.read_1000_requests,
            self.out_gb,
        ];
        Self::KEYS[2..].iter().zip(all).filter_map(|(key, price)| within(key, price, 0.0, HIGHEST)).collect()
    }
}

impl Prices {
    /// What so many objects and bytes in a class of storage cost in a month.
    pub fn storage(&self, class: &str, objects: u64, bytes: u64) -> f64 {
        let per_gb = match class {
            "INTELLIGENT_TIERING" => self.intelligent_tiering_gb_month,
            "STANDARD_IA" | "ONEZONE_IA" => self.standard_ia_gb_month,
            "GLACIER_IR" => self.glacier_ir_gb_month,
            "GLACIER" => self.glacier_gb_month,
            "DEEP_ARCHIVE" => self.deep_archive_gb_month,
            _ => self.standard_gb_month,
        };
        let watched = if class == "INTELLIGENT_TIERING" { objects } else { 0 };
        let gigabytes = bytes as f64 / f64::from(1 << 30);
        gigabytes * per_gb + watched as f64 / 1000.0 * self.intelligent_tiering_1000_objects_month
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watching_is_paid_for_by_the_object_and_storage_by_the_byte() {
        let prices = Prices::default();
        let gigabyte = 1 << 30;
        assert!((prices.storage("STANDARD", 5, 2 * gigabyte) - 0.046).abs() < 1e-12);
        assert!((prices.storage("INTELLIGENT_TIERING", 2000, gigabyte) - 0.028).abs() < 1e-12);
        let wrong = Prices { out_gb: f64::NAN, write_1000_requests: -1.0, ..prices }.problems();
        assert_eq!(wrong.iter().map(|problem| &*problem.at).collect::<Vec<_>>(), ["write_1000_requests", "out_gb"]);
    }
}
