//! Headers that more than one client reads: `Link`, `Location`, `Retry-After`, `Content-Range`.

use std::time::{Duration, SystemTime};

use reqwest::header::{CONTENT_RANGE, HeaderMap, HeaderValue, LINK, LOCATION, RETRY_AFTER};
use url::Url;

/// How long `Retry-After` asks to wait: in seconds or until a date (RFC 9110, 10.2.3).
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let date = httpdate::parse_http_date(value).ok()?;
            Some(date.duration_since(now).unwrap_or_default())
        }
    }
}

/// The part of a body that a response holds, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    pub first: u64,
    /// Inclusive.
    pub last: u64,
    /// Of the whole, if the server says it.
    pub size: Option<u64>,
}

/// `Content-Range: bytes 100-199/200` (RFC 9110, 14.4); the size may be unknown or missing, as some servers have it.
pub fn content_range(headers: &HeaderMap) -> Option<ContentRange> {
    let value = headers.get(CONTENT_RANGE)?.to_str().ok()?.trim();
    let (unit, range) = value.split_once(' ')?;
    let (span, size) = range.trim().split_once('/').unwrap_or((range.trim(), "*"));
    let (first, last) = span.split_once('-')?;
    let is_number = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    let range = ContentRange {
        first: first.parse().ok()?,
        last: is_number.then(|| last.parse().unwrap_or(u64::MAX))?,
        size: match size {
            "*" => None,
            size => Some(size.parse().ok()?),
        },
    };
    unit.eq_ignore_ascii_case("bytes").then_some(range)
}

/// Where `Location` leads, relative or absolute, with its query as it is.
pub fn location(headers: &HeaderMap, here: &Url) -> Option<Url> {
    here.join(&url_text(headers.get(LOCATION)?)).ok()
}

/// The page after `here`: the target of the `Link` whose relation is `next`, in any form that RFC 8288 allows; `None`
/// on the last page.
///
/// # Errors
/// The reason why there is a next page and it cannot be followed.
pub fn next_page(headers: &HeaderMap, here: &Url) -> Result<Option<Url>, String> {
    for value in headers.get_all(LINK) {
        let value = url_text(value);
        let mut rest = value.as_str();
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            if rest.is_empty() {
                break;
            }
            let Some((link, after)) = Link::parse(rest) else {
                // A link that cannot be read is harmless, unless it is the one that is looked for.
                match rest.to_ascii_lowercase().contains("next") {
                    true => return Err(format!("`Link: {rest}` is malformed")),
                    false => break,
                }
            };
            if link.is_next(here) {
                let next = here.join(link.target);
                return next
                    .map(Some)
                    .map_err(|error| format!("`{}` is no next page: {error}", link.target));
            }
            rest = after;
        }
    }
    Ok(None)
}

struct Link<'a> {
    target: &'a str,
    /// Names in lowercase.
    parameters: Vec<(String, String)>,
}

impl<'a> Link<'a> {
    /// The link that `text` begins with, and what follows it.
    fn parse(text: &'a str) -> Option<(Link<'a>, &'a str)> {
        let (target, mut rest) = text.strip_prefix('<')?.split_once('>')?;
        let mut parameters = Vec::new();
        loop {
            rest = rest.trim_start_matches(BLANK);
            let Some(parameter) = rest.strip_prefix(';') else {
                break;
            };
            let parameter = parameter.trim_start_matches(BLANK);
            let end = parameter.find(['=', ';', ',']).unwrap_or(parameter.len());
            let (name, after) = parameter.split_at(end);
            let (value, after) = match after.strip_prefix('=') {
                None => (String::new(), after),
                Some(value) => parameter_value(value, &[';', ',']),
            };
            parameters.push((name.trim_end_matches(BLANK).to_ascii_lowercase(), value));
            rest = after;
        }
        let is_end = rest.is_empty() || rest.starts_with(',');
        is_end.then_some((Link { target, parameters }, rest))
    }

    /// Whether it leads from `here` to the next page. Read generously, because a list that ends early is worse than a
    /// page too many: any `rel` counts, in single quotes too, and a link without parameters, as registries mean nothing
    /// else.
    fn is_next(&self, here: &Url) -> bool {
        let values = |wanted: &'static str| {
            let all = self.parameters.iter();
            all.filter_map(move |(name, value)| (name == wanted).then_some(value.as_str()))
        };
        let anchor = values("anchor").next().map(|anchor| here.join(anchor));
        let is_ours = anchor.is_none_or(|it| it.is_ok_and(|it| it.path() == here.path()));
        let mut relations = values("rel").flat_map(|it| it.trim_matches('\'').split_whitespace());
        let is_next = relations.any(|it| it.eq_ignore_ascii_case("next"));
        is_ours && (is_next || self.parameters.is_empty())
    }
}

/// What may stand around the separators of a header (RFC 9110, 5.6.3).
const BLANK: [char; 2] = [' ', '\t'];

/// The value of a parameter, a quoted string or a token that goes until one of `ends`, and what follows it.
pub fn parameter_value<'a>(text: &'a str, ends: &[char]) -> (String, &'a str) {
    let text = text.trim_start_matches(BLANK);
    quoted_string(text).unwrap_or_else(|| {
        let (token, after) = text.split_at(text.find(ends).unwrap_or(text.len()));
        (token.trim_end_matches(BLANK).to_owned(), after)
    })
}

/// The quoted string that `text` begins with, its escapes undone, and what follows it (RFC 9110, 5.6.4). One that
/// does not end takes everything.
fn quoted_string(text: &str) -> Option<(String, &str)> {
    let quoted = text.strip_prefix('"')?;
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            c => value.push(c),
        }
    }
    Some((value, ""))
}

/// The value of a header that holds a URL. Bytes that are not ASCII stay the bytes they are, percent-encoded.
fn url_text(value: &HeaderValue) -> String {
    let encoded = value.as_bytes().iter().map(|byte| match byte.is_ascii() {
        true => char::from(*byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    encoded.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, values: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    fn next(values: &[&str]) -> Result<Option<String>, String> {
        let here = Url::parse("https://r/v2/a/tags/list?n=1000").unwrap();
        let values: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
        let next = next_page(&headers("link", &values), &here);
        next.map(|next| next.map(String::from))
    }

    #[test]
    fn the_next_page_is_found_in_every_legal_form() {
        let expected = Ok(Some("https://r/v2/a/tags/list?last=x&n=2".to_owned()));
        for link in [
            r#"</v2/a/tags/list?last=x&n=2>; rel="next""#,
            "<https://r/v2/a/tags/list?last=x&n=2>; rel=next",
            "<?last=x&n=2>;rel=next",
            "<//r/v2/a/tags/list?last=x&n=2> ; REL = Next ",
            "<list?last=x&n=2>\t;\trel\t=\t\"NEXT\"\t",
            r#"<https://r/first>; rel="first", <list?last=x&n=2>;title=a; rel="next""#,
            r#"<list?last=x&n=2>; title="a, b; rel=prev"; rel="next""#,
            r#"<list?last=x&n=2>; title="a \" b"; flag; rel="last next""#,
            r#"<list?last=x&n=2>; rel=next; rel=prev, </x>; rel=last"#,
            "<list?last=x&n=2>; rel=prev; rel=next",
            "<list?last=x&n=2>; rel='next'",
            "<list?last=x&n=2>",
            r#"<list?last=x&n=2>; rel="next"; anchor="/v2/a/tags/list""#,
            r#",, <list?last=x&n=2>; rel=next; anchor="",,"#,
            r#"</x>; rel=next; anchor="/other", <list?last=x&n=2>;;rel=next"#,
            r#"</x>; rev=next, <list?last=x&n=2>; rel="https://example.com/rel next""#,
        ] {
            assert_eq!(next(&[link]), expected, "{link}");
        }
        assert_eq!(
            next(&[r#"</x>; rel="prev""#, "<?last=x&n=2>; rel=next"]),
            expected
        );
        assert_eq!(
            next(&["<?last=a,b&n=2>; rel=next"]),
            Ok(Some("https://r/v2/a/tags/list?last=a,b&n=2".to_owned()))
        );
        assert_eq!(
            next(&["<?last=é>; rel=next"]),
            Ok(Some("https://r/v2/a/tags/list?last=%C3%A9".to_owned()))
        );
    }

    #[test]
    fn other_links_are_no_next_page() {
        for link in ["", r#"</x>; rel="prev""#, "</x>; rel=nextish", "nonsense"] {
            assert_eq!(next(&[link]), Ok(None), "{link}");
        }
        assert_eq!(next(&[]), Ok(None));
    }

    #[test]
    fn a_next_page_that_cannot_be_followed_is_an_error() {
        for link in [
            "/x; rel=next",
            "</x; rel=next",
            "<https://[r/x>; rel=next",
            "</x> rel=next",
        ] {
            assert!(next(&[link]).is_err(), "{link}");
        }
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let now = httpdate::parse_http_date("Fri, 20 Nov 2026 10:00:00 GMT").unwrap();
        let read = |value: &str| retry_after(&headers("retry-after", &[value.as_bytes()]), now);
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(
            read("Fri, 20 Nov 2026 10:00:30 GMT"),
            Some(Duration::from_secs(30))
        );
        assert_eq!(read("Fri, 20 Nov 2026 09:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(read("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn a_content_range_is_of_bytes_with_both_ends() {
        let read = |value: &str| content_range(&headers("content-range", &[value.as_bytes()]));
        let range = |size| ContentRange {
            first: 100,
            last: 199,
            size,
        };
        assert_eq!(read("bytes 100-199/200"), Some(range(Some(200))));
        assert_eq!(read("Bytes 100-199/*"), Some(range(None)));
        for value in [
            "bytes */200",
            "100-199/200",
            "bytes 100/200",
            "lines 1-2/3",
            "",
        ] {
            assert_eq!(read(value), None, "{value}");
        }
    }

    #[test]
    fn a_location_may_hold_any_byte() {
        let here = Url::parse("https://r/v2/a/blobs/uploads/").unwrap();
        let read = |value: &[u8]| location(&headers("location", &[value]), &here).map(String::from);
        assert_eq!(
            read(b"/u/1?s=a%2Fb&\xff"),
            Some("https://r/u/1?s=a%2Fb&%FF".to_owned())
        );
        assert_eq!(read(b"https://["), None);
    }
}
