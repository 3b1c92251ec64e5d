//! Headers of registries: how to sign in, and where the next page is. Each line of an input is a header of its own.

use reqwest::header::{
    HeaderMap, HeaderName, HeaderValue, LINK, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
};
use std::time::SystemTime;
use url::Url;

use crate::http;
use crate::registry::Challenge;

/// A challenge that is understood is understood again when it is written plainly, also behind others.
pub(super) fn challenge(data: &[u8]) {
    let headers = headers(&WWW_AUTHENTICATE, lines(data));
    let Some(challenge) = Challenge::of(&headers) else {
        return;
    };
    let plain = match &challenge {
        Challenge::Basic => "Basic".to_owned(),
        Challenge::Bearer { realm, service } => {
            let service = service
                .as_ref()
                .map(|it| format!(",service={}", quoted(it)));
            format!(
                "Bearer realm={}{}",
                quoted(realm.as_str()),
                service.unwrap_or_default()
            )
        }
    };
    for text in [
        plain.clone(),
        format!("Negotiate, {plain}"),
        format!("Basic realm=\"a, b\",{plain}"),
    ] {
        let again = Challenge::of(&self::headers(&WWW_AUTHENTICATE, [text.as_bytes()]));
        assert_eq!(again.as_ref(), Some(&challenge), "{text}");
    }
}

/// A next page that is found is found again when it is written plainly, and behind another link.
pub(super) fn link(data: &[u8]) {
    let Ok(here) = Url::parse("https://r.example/v2/a/tags/list?n=1000") else {
        return;
    };
    let as_links = headers(&LINK, lines(data));
    let next = http::next_page(&as_links, &here);
    if let Ok(Some(next)) = &next {
        let plain = format!("<{next}>; rel=\"next\"");
        for text in [
            plain.clone(),
            format!("</x>; rel=\"prev next\"; anchor=\"/y\" , {plain}"),
        ] {
            let again = http::next_page(&headers(&LINK, [text.as_bytes()]), &here);
            assert_eq!(again, Ok(Some(next.clone())), "{text}");
        }
    }
    let before: Vec<Vec<u8>> = lines(data)
        .map(|line| [b"</x>; rel=prev, ", line].concat())
        .collect();
    let behind = headers(&LINK, before.iter().map(Vec::as_slice));
    if behind.len() == as_links.len() {
        let found = http::next_page(&behind, &here);
        assert_eq!(found.is_err(), next.is_err());
        assert_eq!(found.ok(), next.ok());
    }
    for line in lines(data) {
        let location = http::location(&headers(&LOCATION, [line]), &here);
        let again = location
            .as_ref()
            .and_then(|it| http::location(&headers(&LOCATION, [it.as_str().as_bytes()]), &here));
        assert_eq!(location, again);
        http::retry_after(&headers(&RETRY_AFTER, [line]), SystemTime::UNIX_EPOCH);
        http::content_range(&headers(&reqwest::header::CONTENT_RANGE, [line]));
    }
}

fn lines(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    data.split(|byte| *byte == b'\n')
}

/// Those of `values` that can be headers.
fn headers<'a>(name: &HeaderName, values: impl IntoIterator<Item = &'a [u8]>) -> HeaderMap {
    let values = values
        .into_iter()
        .filter_map(|it| HeaderValue::from_bytes(it).ok());
    values.map(|value| (name.clone(), value)).collect()
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
