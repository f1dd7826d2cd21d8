//! The page as a browser reads it.

use scraper::{Html, Selector};

use super::super::*;
use super::STYLE;

/// Data as a run might leave them, with names that try to break the page; `tests/fixtures/make_report.py` makes them.
fn fixture() -> ReportData {
    serde_json::from_str(include_str!("../../../../tests/fixtures/report.json")).unwrap()
}

fn select<'a>(page: &'a Html, selector: &str) -> Vec<scraper::ElementRef<'a>> {
    page.select(&Selector::parse(selector).unwrap()).collect()
}

fn text_of(page: &Html, selector: &str) -> String {
    select(page, selector).iter().flat_map(scraper::ElementRef::text).collect()
}

#[test]
fn the_page_is_well_formed() {
    for data in [fixture(), ReportData::default()] {
        let page = Html::parse_document(&page(&data).unwrap());
        assert_eq!(page.errors, [] as [&str; 0]);
        let ids: Vec<&str> = select(&page, "[id]").iter().map(|element| element.attr("id").unwrap()).collect();
        let distinct: std::collections::BTreeSet<&&str> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len(), "an id stands twice");
        for link in select(&page, "a[href]") {
            let anchor = link.attr("href").unwrap().strip_prefix('#').expect("a link leads out of the page");
            assert!(ids.contains(&anchor), "`{anchor}` leads nowhere");
        }
    }
}

#[test]
fn hostile_names_stay_text() {
    let data = fixture();
    let text = page(&data).unwrap();
    let page = Html::parse_document(&text);
    assert!(select(&page, "script, iframe, object, embed, base, form, b, main link").is_empty());
    let handlers = page.tree.values().filter_map(|node| node.as_element()).flat_map(|element| element.attrs());
    for (name, value) in handlers {
        assert!(!name.starts_with("on") && !value.starts_with("javascript:"), "{name}={value}");
    }
    let rows = select(&page, "#classes tbody th");
    let shown: Vec<String> = rows.iter().map(|row| row.text().collect()).collect();
    let clean = |name: &String| name.replace(['\0', '\u{1b}'], "\u{fffd}");
    assert_eq!(shown, data.classes.iter().map(clean).collect::<Vec<_>>());
    let name = &data.mistakes[0].uri;
    assert!(select(&page, "img[alt]").iter().any(|image| image.attr("alt").unwrap().contains(name.as_str())));
}

#[test]
fn nothing_is_loaded_from_elsewhere() {
    let text = page(&fixture()).unwrap();
    let parsed = Html::parse_document(&text);
    for element in select(&parsed, "[src], link[href]") {
        let address = element.attr("src").or(element.attr("href")).unwrap();
        assert!(address.starts_with("data:"), "{address}");
    }
    assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
    assert!(select(&parsed, "meta[http-equiv]")[0].attr("content").unwrap().starts_with("default-src 'none'"));
}

#[test]
fn what_is_seen_can_also_be_read_out() {
    let page = Html::parse_document(&page(&fixture()).unwrap());
    for picture in select(&page, "img, audio, div.plot, svg.dots") {
        let words = picture.attr("alt").or(picture.attr("aria-label"));
        assert!(
            words.is_some_and(|words| !words.is_empty()),
            "{}",
            picture.html().chars().take(80).collect::<String>()
        );
    }
    assert_eq!(select(&page, "table").len(), select(&page, "table > caption").len());
    assert!(select(&page, "th:not([scope])").is_empty());
    assert_eq!(select(&page, "div.plot svg").len(), 12 + 1 + 2);
    assert_eq!(select(&page, "figure.mistake audio").len(), 3);
}

#[test]
fn plots_follow_the_colour_scheme() {
    let page = page(&fixture()).unwrap();
    let (_, body) = page.split_once("<body>").unwrap();
    assert!(body.contains("stroke=\"var(--accent)\""));
    for attribute in ["stroke=\"#", "fill=\"#"] {
        assert!(!body.contains(attribute), "a plot has a colour of its own");
    }
}

#[test]
fn what_is_not_there_is_left_out_or_not_available() {
    let bare = ReportData { classes: vec!["a".to_owned()], ..ReportData::default() };
    let bare = Html::parse_document(&page(&bare).unwrap());
    assert_eq!(text_of(&bare, "nav"), "Lineage");
    assert!(text_of(&bare, "header").contains("Nothing was there to compare it with"));
    // One class, one epoch, one point, a figure that is no number.
    let odd = ReportData {
        classes: vec!["a".to_owned()],
        confusion: vec![vec![0]],
        per_class: vec![ClassFigures { f1: Some(f64::NAN), ..ClassFigures::default() }],
        pr_curves: vec![PrCurve { recall: vec![f64::NAN, 1.0], precision: vec![1.0, 1.0] }],
        learning: vec![Epoch { epoch: 1, loss: f64::NAN, ..Epoch::default() }, Epoch { epoch: 2, ..Epoch::default() }],
        map: Some(EmbeddingMap { points: vec![MapPoint::default(); 2], ..EmbeddingMap::default() }),
        counts: vec![ClassCount::default()],
        timings: vec![StageTiming::default()],
        false_alarms: Some(FalseAlarms { per_class: vec![0], ..FalseAlarms::default() }),
        calibration: Some(Calibration::default()),
        ..ReportData::default()
    };
    let odd = page(&odd).unwrap();
    assert!(!odd.contains("NaN") && !odd.contains("inf"), "{odd}");
}

#[test]
fn the_same_data_give_the_same_bytes_and_data_come_back_from_json() {
    let data = fixture();
    assert_eq!(page(&data).unwrap(), page(&data.clone()).unwrap());
    let json = serde_json::to_string(&data).unwrap();
    assert_eq!(serde_json::from_str::<ReportData>(&json).unwrap(), data);
}

#[test]
fn many_classes_are_folded() {
    let classes: Vec<String> = (0..60).map(|k| format!("class {k}")).collect();
    let confusion = (0..60).map(|i| (0..60).map(|j| u64::from(i == j)).collect()).collect();
    let per_class =
        (0..60).map(|k| ClassFigures { f1: Some(f64::from(k) / 60.0), ..ClassFigures::default() }).collect();
    let data = ReportData { classes, confusion, per_class, ..ReportData::default() };
    let page = Html::parse_document(&page(&data).unwrap());
    assert_eq!(select(&page, "#classes > .scroll tbody tr").len(), 10);
    assert_eq!(select(&page, "#classes > details tbody tr").len(), 60);
    assert_eq!(select(&page, "#confusion > details table").len(), 1);
    assert_eq!(select(&page, "#confusion > .scroll").len(), 0);
}
