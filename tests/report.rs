//! The page and the card that a run leaves, and what a browser says of the page.

use std::path::{Path, PathBuf};

use ecosight::report::{ReportData, page};
use ecosight_datasets::synth;
use scraper::{Html, Selector};

use crate::browser::findings;
use crate::support::{Sandbox, repository};

const FAST: &str = "--set embed.embedder=logmel --set augment.variants=1";
/// What would break a page, or a table of Markdown, that took it for more than text.
const HOSTILE: &str = "<b>\"rain\" & 'co' | `x`";

fn select(page: &Html, selector: &str) -> Vec<String> {
    page.select(&Selector::parse(selector).unwrap()).map(|element| element.text().collect()).collect()
}

/// Recordings of five classes, one of them with a hostile name, in `recordings`.
fn recordings(sandbox: &Sandbox) {
    let folder = sandbox.path().join("recordings");
    synth::write_clips(&folder, 8, &mut |_| {}).unwrap();
    std::fs::rename(folder.join("rain"), folder.join(HOSTILE)).unwrap();
}

/// Where a page is looked at and its pictures stay, for people.
fn screenshots(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots").join(name)
}

#[test]
fn a_retrain_leaves_a_page_and_a_card_that_hostile_names_do_not_break() {
    let sandbox = Sandbox::new();
    recordings(&sandbox);
    let ran = sandbox.ok(&format!("retrain --source recordings {FAST}"));
    let path = ran.stdout.lines().find_map(|line| line.strip_prefix("report  ")).expect("the summary names the report");
    let path = sandbox.path().join(path);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.len() < 5_000_000, "{}", text.len());
    let html = Html::parse_document(&text);
    assert_eq!(html.errors, [] as [&str; 0]);
    let sections = select(&html, "main h2");
    for section in ["Classes", "Confusions", "Precision and recall", "Calibration", "Map of the clips", "Training"] {
        assert!(sections.iter().any(|title| title == section), "no section {section} in {sections:?}");
    }
    for section in ["Data", "Time", "Lineage"] {
        assert!(sections.iter().any(|title| title == section), "no section {section} in {sections:?}");
    }
    assert!(select(&html, "b, script").is_empty());
    assert!(select(&html, "#classes tbody th").iter().any(|name| name == HOSTILE));
    let counted: u64 = select(&html, "#data tfoot td")[1..4].iter().map(|n| n.parse::<u64>().unwrap()).sum();
    assert_eq!(counted, 40);

    // The same again by hand, to the bit.
    let written = sandbox.json("runs report");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    let card_path = sandbox.path().join(written["model_card"].as_str().unwrap());
    let card = std::fs::read_to_string(&card_path).unwrap();
    assert!(card.contains("## Intended use") && card.contains("## Quantitative analyses"), "{card}");
    assert!(!card.contains("<b>"), "{card}");

    if let Some(found) = findings(&path, &screenshots("retrain")) {
        assert!(found.is_empty(), "{found}");
    }

    // Other sides, and the curves would be of other clips.
    sandbox.ok(&format!("retrain --to split {FAST} --set split.seed=7"));
    sandbox.ok("runs report last~1");
    let html = Html::parse_document(&std::fs::read_to_string(&path).unwrap());
    assert!(select(&html, ".badge").iter().any(|badge| badge == "older"));
    assert!(!select(&html, "main h2").iter().any(|title| title == "Map of the clips"));

    // That there is no place for it does not fail the run.
    std::fs::remove_file(&card_path).unwrap();
    std::fs::create_dir(&card_path).unwrap();
    let ran = sandbox.ok(&format!("retrain {FAST} --force=evaluate"));
    assert!(ran.stderr.contains("the report cannot be written"), "{}", ran.stderr);
}

#[test]
fn a_page_of_names_and_figures_of_all_kinds_is_fine_in_a_browser() {
    let fixture = std::fs::read_to_string(repository().join("tests/fixtures/report.json")).unwrap();
    let data: ReportData = serde_json::from_str(&fixture).unwrap();
    let folder = screenshots("fixture");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("report.html");
    std::fs::write(&path, page(&data).unwrap()).unwrap();
    if let Some(found) = findings(&path, &folder) {
        assert!(found.is_empty(), "{found}");
    }
}
