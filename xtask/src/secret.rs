//! Secrets have a type, and all output is searched for them once more.
//!
//! [`Secret`] has neither `Display` nor `Serialize`: only [`Secret::expose`] gives the value, so every use can be
//! found. [`Redactor`] is a second defence: it masks known values in output, in every spelling that libraries give
//! them.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use url::Url;

/// A value that must not be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    pub fn new(value: T) -> Self {
        Secret(value)
    }

    /// The value itself, for the one call that needs it.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A URL as it may be printed: scheme, host, port and path; no user information, no query, no fragment.
pub fn public_url(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Both fail only for URLs that cannot have a user anyway.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

/// `text` with every URL in it reduced by [`public_url`].
pub fn with_public_urls(text: &str) -> String {
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>');
    text.split_inclusive(ends)
        .map(|word| {
            let (start, url) = match word.find("http://").or_else(|| word.find("https://")) {
                Some(at) => word.split_at(at),
                // An address within the server, whose query may be a signature.
                None => match word.split_once('?') {
                    Some((path, query)) if path.contains('/') && query.contains('=') => {
                        let end = query.rfind(|c: char| !ends(c)).map_or(0, |at| at + 1);
                        let (_, end) = query.split_at(query.ceil_char_boundary(end));
                        return format!("{path}{end}");
                    }
                    _ => return word.to_owned(),
                },
            };
            let rest =
                url.trim_end_matches(|c: char| ends(c) || matches!(c, ':' | ',' | ')' | ';'));
            let end = &url[rest.len()..];
            match Url::parse(rest) {
                Ok(url) => format!("{start}{}{end}", public_url(&url)),
                Err(_) => format!("{start}…{end}"),
            }
        })
        .collect()
}

const MASK: &str = "***";

/// The shortest value that is masked: shorter ones occur in ordinary text.
const SHORTEST: usize = 4;

/// Of values of at least [`LONG`] characters, a beginning of this length is masked too: who repeats a value may have
/// cut it.
const BEGINNING: usize = 12;
const LONG: usize = 16;

/// Replaces known secret values in text.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    /// Longest first, so that a secret that contains another one is masked as a whole.
    needles: Vec<Secret<String>>,
    /// The long ones without their blanks: what is looked for in parts, and broken into lines.
    long: Vec<Secret<String>>,
}

impl Redactor {
    /// Masks `value`: as it is, percent-encoded, in base64 and escaped as JSON. Of several lines, masks each, and all
    /// of them joined by spaces.
    pub fn add(&mut self, value: &Secret<String>) {
        let value = value.expose();
        if value.contains(['\r', '\n']) {
            for line in value.lines() {
                self.add(&Secret::new(line.to_owned()));
            }
            let words: Vec<&str> = value.split_whitespace().collect();
            self.add(&Secret::new(words.join(" ")));
        }
        if value.len() < SHORTEST {
            return;
        }
        let plain = escaped(value).into_iter().chain([value.to_owned()]);
        for spelling in plain.chain(encoded(value.as_bytes())) {
            self.find_parts(&spelling);
            self.find_whole(spelling);
        }
    }

    /// Masks what signs in to a registry: the password, and the pair as Basic authentication spells it.
    pub fn add_login(&mut self, username: &str, password: &Secret<String>) {
        self.add(password);
        if password.expose().is_empty() {
            return;
        }
        let pair = format!("{username}:{}", password.expose());
        self.add_encoded(pair.as_bytes());
        // As a whole only: the user's name is no secret.
        for spelling in escaped(&pair).into_iter().chain([pair]) {
            self.find_whole(spelling);
        }
    }

    /// Masks `user:password` that is no UTF-8.
    pub fn add_pair(&mut self, pair: &Secret<Vec<u8>>) {
        self.add_encoded(pair.expose());
        let mut parts = pair.expose().splitn(2, |byte| *byte == b':');
        let password = parts.nth(1).unwrap_or_default();
        self.add(&Secret::new(String::from_utf8_lossy(password).into_owned()));
    }

    fn add_encoded(&mut self, value: &[u8]) {
        for spelling in encoded(value) {
            self.find_parts(&spelling);
            self.find_whole(spelling);
        }
    }

    /// Masks a token that a server gave, as it is: there may be one for each repository.
    pub fn add_token(&mut self, token: &str) {
        if token.len() >= SHORTEST {
            self.find_parts(token);
            self.find_whole(token.to_owned());
        }
    }

    fn find_whole(&mut self, spelling: String) {
        let spelling = Secret::new(spelling);
        if !self.needles.contains(&spelling) {
            let length = |needle: &Secret<String>| std::cmp::Reverse(needle.expose().len());
            let at = self
                .needles
                .partition_point(|it| length(it) <= length(&spelling));
            self.needles.insert(at, spelling);
        }
    }

    fn find_parts(&mut self, spelling: &str) {
        let compact = Secret::new(spelling.split_whitespace().collect::<String>());
        if compact.expose().chars().nth(LONG - 1).is_some() && !self.long.contains(&compact) {
            self.long.push(compact);
        }
    }

    /// Masks every secret part of a URL: its password and each value of its query.
    pub fn add_url(&mut self, url: &Secret<Url>) {
        let url = url.expose();
        if let Some(password) = url.password() {
            self.add(&Secret::new(password.to_owned()));
        }
        if let Some(query) = url.query() {
            self.add(&Secret::new(query.to_owned()));
        }
        for (name, value) in url.query_pairs() {
            if name == "sig" {
                self.add(&Secret::new(value.into_owned()));
            }
        }
    }

    /// `text` with every known secret masked.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for needle in &self.needles {
            if text.contains(needle.expose().as_str()) {
                text = Cow::Owned(text.replace(needle.expose().as_str(), MASK));
            }
        }
        let parts = self.parts(&text);
        if parts.is_empty() {
            return text;
        }
        let mut masked = String::new();
        let mut done = 0;
        for part in parts {
            masked += &text[done..part.start];
            masked += MASK;
            done = part.end;
        }
        Cow::Owned(masked + &text[done..])
    }

    /// Where beginnings of long values are, whatever blanks and line ends somebody has put into them; in order, and
    /// none overlaps another.
    fn parts(&self, text: &str) -> Vec<Range<usize>> {
        if self.long.is_empty() {
            return Vec::new();
        }
        let letters = || text.char_indices().filter(|(_, c)| !c.is_whitespace());
        let compact: String = letters().map(|(_, c)| c).collect();
        let mut parts = Vec::new();
        for needle in self.long.iter().map(Secret::expose) {
            let beginning = needle
                .char_indices()
                .nth(BEGINNING)
                .map_or(needle.as_str(), |(end, _)| &needle[..end]);
            for (at, _) in compact.match_indices(beginning) {
                let shared = compact[at..].chars().zip(needle.chars());
                let count = shared.take_while(|(a, b)| a == b).count();
                let first = compact[..at].chars().count();
                let mut found = letters().skip(first).take(count);
                if let (Some((start, _)), Some((end, c))) = (found.next(), found.last()) {
                    parts.push(start..end + c.len_utf8());
                }
            }
        }
        parts.sort_by_key(|part| (part.start, std::cmp::Reverse(part.end)));
        let mut end = 0;
        parts.retain(|part| {
            let is_new = part.start >= end;
            if is_new {
                end = part.end;
            }
            is_new
        });
        parts
    }
}

/// As JSON and URLs escape it.
fn escaped(value: &str) -> [String; 5] {
    let json = serde_json::to_string(value).unwrap_or_default();
    let json = json.trim_matches('"');
    // As those write it who write ASCII only, in small or capital letters.
    let ascii = |digits: fn(u16) -> String| -> String {
        let escape = |c: char| match c.is_ascii() {
            true => c.to_string(),
            false => c
                .encode_utf16(&mut [0; 2])
                .iter()
                .map(|it| format!("\\u{}", digits(*it)))
                .collect(),
        };
        json.chars().map(escape).collect()
    };
    let percent: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
    [
        json.to_owned(),
        ascii(|it| format!("{it:04x}")),
        ascii(|it| format!("{it:04X}")),
        percent.replace('+', "%20"),
        percent,
    ]
}

/// In both alphabets of base64.
fn encoded(value: &[u8]) -> [String; 4] {
    [
        STANDARD.encode(value),
        STANDARD_NO_PAD.encode(value),
        URL_SAFE.encode(value),
        URL_SAFE_NO_PAD.encode(value),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::new("hunter22")), "***");
    }

    #[test]
    fn every_spelling_is_masked() {
        let password = "p>>>p~~~?$\"qä";
        let mut redactor = Redactor::default();
        redactor.add(&Secret::new(password.to_owned()));
        for spelling in [
            password.to_owned(),
            STANDARD.encode(password),
            URL_SAFE_NO_PAD.encode(password),
            url::form_urlencoded::byte_serialize(password.as_bytes()).collect(),
            serde_json::to_string(password).unwrap(),
            "p>>>p~~~?$\\\"q\\u00e4".to_owned(),
            "p>>>p~~~?$\\\"q\\u00E4".to_owned(),
        ] {
            let out = redactor.redact(&spelling).into_owned();
            assert!(out.contains(MASK) && out.len() < 6, "{out}");
        }
    }

    #[test]
    fn a_signature_is_masked_with_and_without_its_url() {
        let url =
            Url::parse("https://x.blob.core.windows.net/p?sv=2024&sig=ab%2Fcd%3D%3D").unwrap();
        assert_eq!(public_url(&url), "https://x.blob.core.windows.net/p");
        let mut redactor = Redactor::default();
        redactor.add_url(&Secret::new(url.clone()));
        for text in [url.as_str(), "sig is ab/cd==", "sig is ab%2Fcd%3D%3D"] {
            let out = redactor.redact(text).into_owned();
            assert!(!out.contains("ab"), "{out}");
        }
    }

    #[test]
    fn urls_lose_their_query_and_user() {
        assert_eq!(
            with_public_urls(
                "Put \"https://u:pw@r.example/v2/x?_state=s3cret&a=b\": EOF (see https://a.b/c?d=e), ok"
            ),
            "Put \"https://r.example/v2/x\": EOF (see https://a.b/c), ok"
        );
        assert_eq!(with_public_urls("realm=https://[?sig=s3cret"), "realm=…");
        assert_eq!(with_public_urls("no address  at all"), "no address  at all");
    }

    #[test]
    fn a_value_of_several_lines_is_masked_in_any_layout() {
        let mut redactor = Redactor::default();
        redactor.add(&Secret::new("ein\ngeheimes\nWort\n".to_owned()));
        for text in ["ein\ngeheimes\nWort\n", "ein geheimes Wort", "| geheimes"] {
            let out = redactor.redact(text);
            assert!(!out.contains("geheimes"), "{out}");
        }
        assert_eq!(redactor.redact("ein geheimes Wort"), "***");
    }

    #[test]
    fn a_value_that_was_cut_or_broken_into_lines_is_masked() {
        let password = "C4nary-pass/word+of=some-length-0123456789";
        let mut redactor = Redactor::default();
        redactor.add_login("hagicode-release-robot", &Secret::new(password.to_owned()));
        redactor.add_token("BEARERCANARY0123456789");
        let pair = STANDARD.encode(format!("hagicode-release-robot:{password}"));
        let wrapped = format!("{}\n  {}", &pair[..40], &pair[40..]);
        for (text, expected) in [
            (format!("you sent {}…", &password[..29]), "you sent ***…"),
            (format!("Basic {wrapped}, no"), "Basic ***, no"),
            (format!("Basic {}", &pair[..30]), "Basic ***"),
            ("BEARERCANARY012 was cut".to_owned(), "*** was cut"),
            ("BEARERCANARY0123456789 é".to_owned(), "*** é"),
            (
                "hagicode-release-robot:".to_owned(),
                "hagicode-release-robot:",
            ),
            ("C4nary-pas".to_owned(), "C4nary-pas"),
        ] {
            assert_eq!(redactor.redact(&text), expected, "{text}");
        }
    }

    #[test]
    fn short_values_are_not_masked() {
        let mut redactor = Redactor::default();
        redactor.add(&Secret::new("a".to_owned()));
        assert_eq!(redactor.redact("banana"), "banana");
    }
}
