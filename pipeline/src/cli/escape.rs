//! Escapes of characters that would control a terminal instead of being shown.
//!
//! File names, labels and messages of servers are chosen by others. Shown as they are, an escape sequence in a name could clear the screen, a
//! line feed could begin a line that looks like a message of this program, and a bidirectional override could reorder the rest of a line.
//! [`Printer`](super::printer::Printer) escapes everything that is printed for people:
//!
//! * a single line and a cell of a table with [`one_line`], which leaves no line break;
//! * text of several lines, which this program has laid out, with [`lines`], which keeps `\n` and `\t`.
//!
//! A value from outside that goes into text of several lines is passed through [`one_line`] where the text is made. A backslash is not escaped,
//! so the result is for reading, not for parsing: `--json` has the exact values.

use std::borrow::Cow;
use std::fmt::Write;

/// `text` without line breaks: all characters that control a terminal or the layout of a line are shown as escapes (`\n`, `\t`, `\u{1b}`).
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    escaped(text, is_control)
}

/// `text` with its line feeds and tabs; all other characters that control a terminal or the layout of a line are shown as escapes.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| is_control(c) && !matches!(c, '\n' | '\t'))
}

/// Whether `c` is a control (C0, DEL, C1), a line or paragraph separator, or one of the bidirectional formatting characters of Unicode
/// (UAX #9, sections 2.1 to 2.6).
fn is_control(c: char) -> bool {
    let is_bidi = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || is_bidi || matches!(c, '\u{2028}' | '\u{2029}')
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if !is_escaped(c) => shown.push(c),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            // Writing to a string cannot fail.
            c => write!(shown, "{}", c.escape_unicode()).unwrap_or_default(),
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_separators_and_bidirectional_overrides_are_escaped() {
        for (text, shown) in [
            ("a\u{1b}[2J\u{7}b", "a\\u{1b}[2J\\u{7}b"),
            ("x\nstored  y", "x\\nstored  y"),
            ("a\r\tb", "a\\r\\tb"),
            ("\u{9b}31m\u{7f}", "\\u{9b}31m\\u{7f}"),
            ("gpj\u{202e}.\u{2066}wav\u{2069}\u{200f}", "gpj\\u{202e}.\\u{2066}wav\\u{2069}\\u{200f}"),
            ("a\u{2028}b\u{2029}c", "a\\u{2028}b\\u{2029}c"),
        ] {
            assert_eq!(one_line(text), shown);
        }
    }

    #[test]
    fn letters_of_all_scripts_stay() {
        for text in
            ["", "Wald rand.wav", "日本 語.ogg", "مرحبا.wav", "e\u{301}", "🐸", "C:\\clips\\a.flac", "می\u{200c}خواهم"]
        {
            assert!(matches!(one_line(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn text_of_several_lines_keeps_line_feeds_and_tabs_alone() {
        assert_eq!(lines("a\tb\n\u{1b}c\r\n"), "a\tb\n\\u{1b}c\\r\n");
    }
}
