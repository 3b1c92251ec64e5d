//! `//` comments in JSON, as the tools' own examples have them.
//!
//! Lines keep their numbers, so that positions in messages stay right.

/// White space and the byte order mark.
const BLANK: fn(char) -> bool = |c| c.is_whitespace() || c == '\u{feff}';

/// `text` without its comments, if it begins with a bracket or with comments before one. A comment has white space
/// before it: in YAML, `//` is also part of an unquoted URL.
pub(super) fn without_comments(text: &str) -> String {
    let lines = text.lines().map(|line| line.trim_start_matches(BLANK));
    let first = lines.skip_while(|line| line.is_empty() || line.starts_with("//"));
    if !first.take(1).any(|line| line.starts_with(['{', '['])) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if quoted => {
                out.push(c);
                out.extend(chars.next());
                continue;
            }
            '"' => quoted = !quoted,
            '/' if !quoted
                && chars.peek() == Some(&'/')
                && (out.is_empty() || out.ends_with(BLANK)) =>
            {
                while chars.next_if(|&c| c != '\n').is_some() {}
                continue;
            }
            _ => {}
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_go_and_what_looks_like_them_stays() {
        for (text, expected) in [
            ("{\"a\": 1, // b \"\n\"c\": 2}", "{\"a\": 1, \n\"c\": 2}"),
            ("\u{feff} [\n// a", "\u{feff} [\n"),
            ("{\"a\": \"x // y\"}", "{\"a\": \"x // y\"}"),
            ("{\"a\": \"\\\" // y\"}", "{\"a\": \"\\\" // y\"}"),
            ("// a\n\n  // b [\n{}", "\n\n  \n{}"),
            ("// a\nb: c", "// a\nb: c"),
            ("{a: http://x}", "{a: http://x}"),
            ("a: b // c", "a: b // c"),
        ] {
            assert_eq!(without_comments(text), expected);
        }
    }
}
