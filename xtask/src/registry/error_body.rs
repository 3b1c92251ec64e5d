//! What the body of an error response says, as foreign text without secrets.

use serde_json::Value;

use crate::foreign::Foreign;
use crate::secret::Redactor;

/// Where a body says what is wrong: the specification's place, then those of token servers and others.
const MESSAGES: [&str; 5] = [
    "/errors/0/message",
    "/message",
    "/error_description",
    "/details",
    "/error",
];

/// The code and the message of the specification's JSON, of the token endpoints' JSON, or of a line of plain text.
pub(super) fn read(body: &[u8], redactor: &Redactor) -> (Option<String>, Foreign) {
    let json = serde_json::from_slice::<Value>(body).ok();
    let text = String::from_utf8_lossy(body);
    let said = |pointer| json.as_ref()?.pointer(pointer)?.as_str();
    let message = match json {
        Some(_) => MESSAGES
            .into_iter()
            .filter_map(said)
            .find(|it| !it.is_empty()),
        None => Some(&*text).filter(|text| !text.trim_start().starts_with('<')),
    };
    let code = said("/errors/0/code").filter(is_code);
    (
        code.map(|code| redactor.redact(code).into_owned()),
        presentable(&redactor.redact(message.unwrap_or_default())),
    )
}

/// Without the queries of URLs: a storage back end may echo a signed one.
fn presentable(message: &str) -> Foreign {
    let words = message
        .split_whitespace()
        .map(|word| match word.find("://") {
            Some(_) => word.split(['?', '#']).next().unwrap_or_default(),
            None => word,
        });
    Foreign::new(&words.collect::<Vec<_>>().join(" "))
}

/// Whether it is a code as the specification has them, and no text.
fn is_code(code: &&str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=64).contains(&code.len()) && code.bytes().all(is_part)
}
