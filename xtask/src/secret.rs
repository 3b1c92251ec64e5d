//! Secrets have a type, and all output is searched for them once more.
//!
//! [`Secret`] has neither `Display` nor `Serialize`: only [`Secret::expose`] gives the value, so every use can be
//! found. [`Redactor`] is a second defence: it masks known values in output, in every spelling that libraries give
//! them.

use std::borrow::Cow;
use std::fmt;

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
                None => return word.to_owned(),
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

/// Replaces known secret values in text.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    /// Longest first, so that a secret that contains another one is masked as a whole.
    needles: Vec<Secret<String>>,
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
        let json = serde_json::to_string(value).expect("a string is JSON");
        let percent: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        let spellings = [
            json.trim_matches('"').to_owned(),
            percent.replace('+', "%20"),
            percent,
            STANDARD.encode(value),
            STANDARD_NO_PAD.encode(value),
            URL_SAFE.encode(value),
            URL_SAFE_NO_PAD.encode(value),
            value.clone(),
        ];
        for spelling in spellings {
            let spelling = Secret::new(spelling);
            if !self.needles.contains(&spelling) {
                self.needles.push(spelling);
            }
        }
        self.needles
            .sort_by_key(|needle| std::cmp::Reverse(needle.expose().len()));
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
        text
    }
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
        let password = "p>>>p~~~?$\"q";
        let mut redactor = Redactor::default();
        redactor.add(&Secret::new(password.to_owned()));
        for spelling in [
            password.to_owned(),
            STANDARD.encode(password),
            URL_SAFE_NO_PAD.encode(password),
            url::form_urlencoded::byte_serialize(password.as_bytes()).collect(),
            serde_json::to_string(password).unwrap(),
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
    fn short_values_are_not_masked() {
        let mut redactor = Redactor::default();
        redactor.add(&Secret::new("a".to_owned()));
        assert_eq!(redactor.redact("banana"), "banana");
    }
}
