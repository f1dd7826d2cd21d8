//! Text that stays text in Markdown (`CommonMark` 0.31 with the tables of GitHub).

/// Characters that begin or end something inside a line: emphasis, code, a link or an image, a cell, a mention, a formula.
const SPECIAL: &str = "\\`*_{}[]#|~$@";

/// Words from the data, in one line. What could begin HTML is written as an entity, which is text for readers that pass HTML through as well.
pub(super) fn text(words: &str) -> String {
    let words = one_line(words);
    let words = words.trim();
    let mut escaped = String::with_capacity(words.len());
    for (at, c) in words.char_indices() {
        // These begin a list or a heading, but only where nothing stands before them.
        let begins = at == 0 && "-+=".contains(c);
        // What looks like an address becomes a link.
        let is_address = words[at..].starts_with("://");
        if SPECIAL.contains(c) || begins || is_address {
            escaped.push('\\');
        }
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A name as code: nothing in it means anything but the fence, which is longer than any in it, and the bar of tables.
pub(super) fn code(name: &str) -> String {
    let name = one_line(name).replace('|', "\\|");
    let longest = name.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    // One space is taken away at each end, if there is more than spaces.
    match name.trim() {
        "" => "–".to_owned(),
        _ if name.starts_with(['`', ' ']) || name.ends_with(['`', ' ']) => format!("{fence} {name} {fence}"),
        _ => format!("{fence}{name}{fence}"),
    }
}

/// Without line breaks and other controls, and without what turns the direction of the rest of the line.
fn one_line(words: &str) -> String {
    let turns = |c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    words.replace(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'), " ").replace(turns, "\u{fffd}")
}

/// A table; cells are Markdown. The first column is words, the others are figures.
pub(super) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let header: Vec<String> = header.iter().map(|word| (*word).to_owned()).collect();
    let mut table = line(&header);
    table.push_str(&format!("| --- |{}\n", " ---: |".repeat(header.len() - 1)));
    table.extend(rows.into_iter().map(|row| line(&row)));
    table
}
