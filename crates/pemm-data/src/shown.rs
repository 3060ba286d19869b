//! Names and messages as they may be shown: without characters that move the cursor, change
//! colours, or turn the direction of what stands beside them.

use std::borrow::Cow;

/// `text` with every control character and every invisible one that changes the order of others
/// written as `\u{…}`. The end of a line is a control character too.
pub fn shown(text: &str) -> Cow<'_, str> {
    escaped(text, is_harmful)
}

/// The same, but ends of lines stay: for messages of several lines.
pub fn shown_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |character| character != '\n' && is_harmful(character))
}

fn escaped(text: &str, is_harmful: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_harmful) {
        return text.into();
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_harmful(character) {
            escaped.extend(character.escape_unicode());
        } else {
            escaped.push(character);
        }
    }
    escaped.into()
}

/// Control characters, and Unicode's marks, embeddings, overrides and isolates of direction, ends
/// of lines and paragraphs, and what has no width.
fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_the_cursor_is_spelled_out_and_letters_stay() {
        assert_eq!(shown("a\x1b]0;title\x07\nb"), "a\\u{1b}]0;title\\u{7}\\u{a}b");
        assert_eq!(shown("photo\u{202e}gpj.exe"), "photo\\u{202e}gpj.exe");
        assert_eq!(shown("\u{9b}2J\u{85}"), "\\u{9b}2J\\u{85}");
        for name in ["café", "cafe\u{301}", "שלום", "日本語", "🌹 rose", "👩\u{200d}🔬", "a b"]
        {
            assert_eq!(shown(name), name);
        }
        assert_eq!(shown_lines("one\n\ttwo"), "one\n\\u{9}two");
    }
}
