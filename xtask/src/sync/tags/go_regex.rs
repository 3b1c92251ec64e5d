//! Regular expressions as Go has them, as far as tags go: `\pL`, `\p{Greek}` and `\Q…\E`.
//!
//! A tag has only ASCII letters, digits, `_`, `.` and `-`: a class of Unicode stands for those of them that are in it.

/// `regex` without what only Go has. What is unknown stays, and is refused by who compiles it.
pub(super) fn translated(regex: &str) -> String {
    let mut out = String::new();
    let mut rest = regex;
    let mut is_in_class = false;
    while let Some(c) = rest.chars().next() {
        let length = match rest {
            _ if rest.starts_with(r"\Q") => {
                let end = rest.find(r"\E").unwrap_or(rest.len());
                out += &regex_lite::escape(&rest[2..end]);
                (end + 2).min(rest.len())
            }
            _ if rest.starts_with(r"\p") || rest.starts_with(r"\P") => {
                let (class, length) = class(rest);
                match class {
                    None => out += &rest[..length],
                    Some(class) if is_in_class => out += &class,
                    Some(class) => out += &format!("[{class}]"),
                }
                length
            }
            _ if c == '\\' => {
                let next = rest.chars().nth(1).map_or(0, char::len_utf8);
                out += &rest[..=next];
                1 + next
            }
            _ if is_in_class && rest.starts_with("[:") => {
                let end = rest.find(":]").map_or(1, |end| end + 2);
                out += &rest[..end];
                end
            }
            _ if !is_in_class && c == '[' => {
                is_in_class = true;
                // A bracket that closes stands for itself there.
                let mut starts = ["[^]", "[]", "[^"].into_iter();
                let start = starts.find(|it| rest.starts_with(it)).unwrap_or("[");
                out += start;
                start.len()
            }
            _ => {
                is_in_class &= c != ']';
                out.push(c);
                c.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    out
}

/// The characters of tags in the class with which `text` begins, and how long its name is.
fn class(text: &str) -> (Option<String>, usize) {
    let after = &text[2..];
    let (name, length) = match after.strip_prefix('{') {
        Some(inside) => match inside.split_once('}') {
            Some((name, _)) => (name, 2 + name.len() + 2),
            None => return (None, text.len()),
        },
        None => {
            let length = after.chars().next().map_or(0, char::len_utf8);
            (&after[..length], 2 + length)
        }
    };
    let (name, is_turned) = match name.strip_prefix('^') {
        Some(name) => (name, true),
        None => (name, false),
    };
    let is_negative = text.starts_with(r"\P") != is_turned;
    let letters = ('0'..='9').chain('A'..='Z').chain('a'..='z');
    let mut out = String::new();
    for c in letters.chain(['_', '.', '-']) {
        match is_in(name, c) {
            None => return (None, length),
            Some(is_in) if is_in == is_negative => {}
            Some(_) if c == '-' => out += r"\-",
            Some(_) => out.push(c),
        }
    }
    if out.is_empty() {
        // Never in a tag.
        out += r"\x00";
    }
    (Some(out), length)
}

/// Whether the ASCII character `c` is in a class; `None` is no class.
fn is_in(name: &str, c: char) -> Option<bool> {
    Some(match name {
        "Any" => true,
        "L" | "LC" | "Latin" => c.is_ascii_alphabetic(),
        "Lu" => c.is_ascii_uppercase(),
        "Ll" => c.is_ascii_lowercase(),
        "N" | "Nd" => c.is_ascii_digit(),
        "P" => c.is_ascii_punctuation(),
        "Pc" => c == '_',
        "Pd" => c == '-',
        "Po" => c == '.',
        "Common" => !c.is_ascii_alphabetic(),
        "Lt" | "Lm" | "Lo" | "M" | "Mn" | "Mc" | "Me" | "Nl" | "No" | "Ps" | "Pe" | "Pi" | "Pf"
        | "S" | "Sm" | "Sc" | "Sk" | "So" | "Z" | "Zs" | "Zl" | "Zp" | "C" | "Cc" | "Cf" | "Cs"
        | "Co" | "Arabic" | "Bengali" | "Bopomofo" | "Cyrillic" | "Devanagari" | "Greek"
        | "Han" | "Hangul" | "Hebrew" | "Hiragana" | "Inherited" | "Katakana" | "Tamil"
        | "Thai" => false,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matching(regex: &str) -> String {
        let regex = regex_lite::Regex::new(&translated(regex)).unwrap();
        let tags = ["v1", "V2", "3", "a.b", "_x", "a-"];
        let found = tags.into_iter().filter(|tag| regex.is_match(tag));
        found.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn classes_of_unicode_are_those_of_tags() {
        for (regex, expected) in [
            (r"^\pL", "v1 V2 a.b a-"),
            (r"^\PL", "3 _x"),
            (r"^\p{Lu}", "V2"),
            (r"^\p{^Lu}", "v1 3 a.b _x a-"),
            (r"^\P{^Lu}", "V2"),
            (r"^[\p{Ll}_]", "v1 a.b _x a-"),
            (r"^[^\pL\pN]", "_x"),
            (r"\p{Pd}$", "a-"),
            (r"\p{Han}", ""),
            (r"^[[:upper:]\p{Nd}]", "V2 3"),
            (r"a\Q.\Eb", "a.b"),
            (r"^\Qa.", "a.b"),
            (r"[]\pN]", "v1 V2 3"),
            (r"\\pL", ""),
        ] {
            assert_eq!(matching(regex), expected, "{regex}");
        }
        for wrong in [r"\p{Latn}", r"\p{L", r"\p", r"\"] {
            let regex = regex_lite::Regex::new(&translated(wrong));
            assert!(regex.is_err(), "{wrong}");
        }
    }
}
