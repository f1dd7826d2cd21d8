//! The model card as a Markdown reader reads it.

use pulldown_cmark::{Event, Options, Parser, Tag};

use super::super::*;
use super::*;

fn fixture() -> ReportData {
    serde_json::from_str(include_str!("../../../../tests/fixtures/report.json")).unwrap()
}

#[test]
fn hostile_names_stay_text() {
    let data = fixture();
    let card = card(&data).unwrap();
    let (mut words, mut cells, mut headings) = (String::new(), 0, 0);
    for event in Parser::new_ext(&card, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH) {
        match event {
            Event::Html(html) | Event::InlineHtml(html) => panic!("{html}"),
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => panic!("{dest_url}"),
            Event::Start(Tag::Heading { .. }) => headings += 1,
            Event::Start(Tag::TableCell) => cells += 1,
            Event::Text(text) | Event::Code(text) => words.push_str(&text),
            _ => {}
        }
    }
    for class in &data.classes {
        let class = class.replace(|c: char| c.is_control(), " ").replace('\u{202e}', "\u{fffd}");
        assert!(words.contains(&class), "`{class}` is not in the card");
    }
    assert!(words.contains("(?<recording>\\d+)-|`x`"), "{words}");
    // Readers that do not know the escapes of Markdown find no tag in a name either.
    assert!(card.contains("&lt;script&gt;alert") && !card.contains("<script") && !card.contains("\\<"), "{card}");
    assert_eq!(headings, 11);
    // Cells of: figures, gate, counts, classes, slices, settings. No name makes one more.
    let rows = |columns: usize, rows: usize| columns * (rows + 1);
    assert_eq!(cells, rows(3, 5) + rows(4, 3) + rows(7, 12) + rows(8, 12) + rows(4, 6) + rows(2, 3));
}

#[test]
fn the_card_says_what_a_reader_must_know() {
    let told = card(&fixture()).unwrap();
    for words in [
        "> **leaky**: 3 clips",
        "| balanced accuracy | 86.2 % | 83.8–88.6 % |",
        "Thresholds: for each class the one with the best F1 on val.",
        "; expected calibration error (15 bins) 0.123 before, 0.027 after.",
        "difference +2.1 points (+0.4 to +3.9)",
        "False alarms: 1.38 per hour (95 % interval 0.77–2.31) on 6.50 hours",
        "Classes with fewer than 20 test clips, whose figures say little: common pipistrelle (12).",
        "- Embedder: `yamnet-v1-f32-9f0c21d7`",
    ] {
        assert!(told.contains(words), "`{words}` is not in\n{told}");
    }
    let bare = card(&ReportData::default()).unwrap();
    assert!(bare.contains("n/a, there were no background clips") && bare.contains("Calibration: none"));
}

#[test]
fn classes_with_one_recording_are_named() {
    let counts = [(Some(1), Some(4)), (Some(9), Some(1)), (None, None)]
        .map(|(recordings, test_recordings)| ClassCount { recordings, test_recordings, ..ClassCount::default() });
    let classes = ["rare", "odd", "uncounted"].map(str::to_owned);
    let told = card(&ReportData { classes: classes.into(), counts: counts.into(), ..ReportData::default() }).unwrap();
    for words in [
        "1 recording on the train and val sides, which settings, temperature and thresholds were chosen without: rare.",
        "1 recording on the test side, whose figures say nothing of other recordings: odd.",
        "| rare | 0 | 0 | 0 | 0 | 1 | 4 |",
        "| uncounted | 0 | 0 | 0 | 0 | n/a | n/a |",
    ] {
        assert!(told.contains(words), "`{words}` is not in\n{told}");
    }
}

#[test]
fn code_survives_fences_and_blanks() {
    let back = |name: &str| {
        let line = code(name);
        let code = Parser::new(&line)
            .find_map(|event| if let Event::Code(code) = event { Some(code.to_string()) } else { None });
        code.unwrap()
    };
    for name in ["plain", "`", "a``b`c", "`a`", " a ", "\\`"] {
        assert_eq!(back(name), name);
    }
    assert_eq!(code("  "), "–");
}
