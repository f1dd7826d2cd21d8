//! The page: one file that needs no network, no script and no other file.
//!
//! Its policy forbids the browser to load or execute anything, whatever is in the data. Pictures and sounds are data URIs, plots are
//! SVG whose colours are variables of the style sheet, so that they follow the colour scheme; what can be folded or picked is HTML
//! and CSS alone.

mod background;
mod champion;
mod classes;
mod confusion;
mod curves;
mod dots;
mod header;
mod lineage;
mod mistakes;
mod plot;
mod slices;
mod spectrogram;
mod training;
mod volumes;
mod wav;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::check::check;
use super::{ReportData, ReportError};

/// Nothing is loaded, nothing executed.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:; base-uri 'none'; form-action 'none'";
const STYLE: &str = include_str!("html/style.css");

/// A part of the page.
struct Section {
    /// Its anchor.
    id: &'static str,
    title: &'static str,
    body: Markup,
}

/// `report.html`.
pub fn page(data: &ReportData) -> Result<String, ReportError> {
    check(data)?;
    let sections: Vec<Section> = [
        ("gate", "Gate", header::gate(data)),
        ("production", "Against production", champion::section(data)),
        ("classes", "Classes", classes::section(data)),
        ("confusion", "Confusions", confusion::section(data)),
        ("precision-recall", "Precision and recall", curves::precision_recall(data)),
        ("calibration", "Calibration", curves::calibration(data)),
        ("mistakes", "Worst mistakes", mistakes::section(data)),
        ("map", "Map of the clips", dots::section(data)),
        ("slices", "Slices", slices::section(data)),
        ("background", "False alarms", background::section(data)),
        ("training", "Training", training::section(data)),
        ("data", "Data", volumes::counts(data)),
        ("time", "Time", volumes::timings(data)),
        ("lineage", "Lineage", Some(lineage::section(data))),
    ]
    .into_iter()
    .filter_map(|(id, title, body)| Some(Section { id, title, body: body? }))
    .collect();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (data.title) " · " (data.model.version) }
                // The browser would ask the place that the page comes from for an icon.
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) (PreEscaped(dots::rules(data))) }
            }
            body {
                (header::header(data))
                nav aria-label="Contents" {
                    ul { @for section in &sections { li { a href={ "#" (section.id) } { (section.title) } } } }
                }
                main {
                    @for section in &sections {
                        section id=(section.id) aria-labelledby={ (section.id) "-title" } {
                            h2 id={ (section.id) "-title" } { (section.title) }
                            (section.body)
                        }
                    }
                }
                footer { p { "Made by EcoSight " (data.lineage.ecosight_version) ", run " code { (data.run_id) } "." } }
            }
        }
    };
    // HTML has no way to write control characters.
    Ok(page.into_string().replace(|c: char| c.is_control() && c != '\n' && c != '\t', "\u{fffd}"))
}

/// Text from the data, kept apart from the text around it, whatever its direction.
fn name(text: &str) -> Markup {
    html! { bdi { (text) } }
}

/// A table that scrolls by itself where it is wider than the window.
fn scroll(label: &str, table: &Markup) -> Markup {
    html! { div.scroll tabindex="0" role="region" aria-label=(label) { (table) } }
}

/// A percentage of a whole, for a style: always a number in 0…100.
fn part(share: f64) -> String {
    format!("{:.2}%", if share.is_finite() { 100.0 * share.clamp(0.0, 1.0) } else { 0.0 })
}

#[cfg(test)]
#[path = "html/page_tests.rs"]
mod tests;
