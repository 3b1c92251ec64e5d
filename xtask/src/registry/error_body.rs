//! What the body of an error response says, as foreign text without secrets.

use serde_json::Value;

use crate::foreign::Foreign;
use crate::secret::Redactor;

/// Where a body says what is wrong, if it is not in the specification's place: token servers and others.
const MESSAGES: [&str; 4] = ["/message", "/error_description", "/details", "/error"];

/// Of several errors, the one that says what to do. distribution names it behind whatever it met when it read what the
/// manifest refers to, such as a link that another request is writing (`DIGEST_INVALID`).
const CAUSE: &str = "MANIFEST_BLOB_UNKNOWN";

/// The code and the message of the specification's JSON, of the token endpoints' JSON, or of a line of plain text.
pub(super) fn read(body: &[u8], redactor: &Redactor) -> (Option<String>, Foreign) {
    let json = serde_json::from_slice::<Value>(body).ok();
    let text = String::from_utf8_lossy(body);
    let said = |pointer| json.as_ref()?.pointer(pointer)?.as_str();
    let errors = json.as_ref().and_then(|it| it.get("errors")?.as_array());
    let is_cause = |error: &&Value| error["code"] == CAUSE;
    let error = errors.and_then(|it| it.iter().find(is_cause).or(it.first()));
    let of_error = |key| error.and_then(|it| it[key].as_str());
    let message = match json {
        Some(_) => of_error("message")
            .into_iter()
            .chain(MESSAGES.into_iter().filter_map(said))
            .find(|it| !it.is_empty()),
        None => Some(&*text).filter(|text| !text.trim_start().starts_with('<')),
    };
    let code = of_error("code").filter(is_code);
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
