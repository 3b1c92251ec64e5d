//! `COPY` and `ADD` as they are written, and what of them only an engine does.

use super::error::shown;
use super::flags::flag_values;
use super::lines::Line;
use super::words::{json, plain};
use crate::image::layers::recipe::Owner;

/// Before expansion.
pub(super) struct CopyLine {
    /// `COPY` or `ADD`.
    pub(super) keyword: &'static str,
    pub(super) from: Option<String>,
    pub(super) owner: String,
    pub(super) mode: String,
    pub(super) sources: Vec<String>,
    pub(super) destination: String,
}

pub(super) enum Parsed {
    Copy(CopyLine),
    /// Only an engine does it; the sentence says what it does.
    Engine(String),
}

pub(super) fn parse(keyword: &'static str, line: &Line) -> Result<Parsed, String> {
    let mut flags = flag_values(line)?;
    let link = flags.remove("link").unwrap_or_default();
    if !matches!(link.to_ascii_lowercase().as_str(), "" | "true" | "false") {
        return Err(format!(
            "`--link={}` is neither `true` nor `false`",
            shown(&link)
        ));
    }
    let mut words = match json(&line.rest)? {
        Some(words) => words,
        None => plain(&line.rest),
    };
    let destination = match words.pop() {
        Some(destination) if !words.is_empty() => destination,
        _ => return Err(format!("`{keyword}` needs a source and a destination")),
    };
    if line.has_heredoc {
        return Ok(Parsed::Engine(format!(
            "`{keyword} <<` writes a here-document"
        )));
    }
    let mode = flags.remove("chmod").unwrap_or_default();
    if is_symbolic(&mode) {
        let mode = shown(&mode);
        return Ok(Parsed::Engine(format!(
            "`--chmod={mode}` changes modes that the files have"
        )));
    }
    if keyword == "ADD" {
        let what = words
            .iter()
            .find_map(|source| Some((source, more_than_copy(source)?)));
        if let Some((source, what)) = what {
            let source = shown(source);
            return Ok(Parsed::Engine(format!("`ADD {source}` {what}")));
        }
    }
    Ok(Parsed::Copy(CopyLine {
        keyword,
        from: flags.remove("from").filter(|from| !from.is_empty()),
        owner: flags.remove("chown").unwrap_or_default(),
        mode,
        sources: words,
        destination,
    }))
}

/// `u+x,go=rX`.
fn is_symbolic(mode: &str) -> bool {
    mode.contains(['+', '-', '=']) && mode.chars().all(|c| "ugoa+-=rwxXst,".contains(c))
}

/// An address of the web, or of a git repository.
pub(super) fn is_remote(source: &str) -> bool {
    let is_user_at_host = |before: &str| {
        let (user, host) = before.split_once('@').unwrap_or_default();
        let is_word = |text: &str| {
            !text.is_empty()
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        is_word(user) && is_word(host)
    };
    source.contains("://")
        || source
            .split_once(':')
            .is_some_and(|(before, _)| is_user_at_host(before))
}

/// What `ADD` does with a source beyond copying it; in doubt, because of a variable or a wildcard, that it may.
fn more_than_copy(source: &str) -> Option<&'static str> {
    const ARCHIVES: [&str; 12] = [
        ".tar", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst", ".tgz", ".tbz2", ".txz", ".gz",
        ".bz2", ".xz", ".zst",
    ];
    let source = source.trim_matches(['"', '\'']).to_ascii_lowercase();
    if is_remote(&source) {
        return Some("fetches it");
    }
    if source.starts_with('$') {
        return Some("may be an address or an archive; hint: `COPY` if it is neither");
    }
    let name = source.rsplit('/').next().unwrap_or_default();
    // What is certain of the name's end.
    let known_from = name.rfind(['*', '?', ']', '}', '$']).map_or(0, |at| at + 1);
    let (unknown, known) = name.split_at(known_from);
    let after_variable = match unknown.ends_with('$') {
        true => known.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_'),
        false => known,
    };
    if !unknown.is_empty()
        && ARCHIVES
            .iter()
            .any(|archive| archive.ends_with(after_variable))
    {
        return Some("may be an archive, which is unpacked; hint: `COPY` if it is none");
    }
    let is_archive = ARCHIVES.iter().any(|archive| name.ends_with(archive));
    is_archive.then_some("unpacks an archive")
}

/// The value of `--chown`, expanded. Without a user, `:app`, it is root's.
pub(super) fn owner(text: &str) -> Result<Option<Owner>, String> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group.to_owned())),
        None => (text, None),
    };
    match (user, &group) {
        ("", None) => Ok(None),
        (_, Some(group)) if group.is_empty() => Err(format!(
            "`--chown={}` names no group after the colon",
            shown(text)
        )),
        _ => Ok(Some(Owner {
            user: user.to_owned(),
            group,
        })),
    }
}

/// The value of `--chmod`, expanded.
pub(super) fn mode(text: &str) -> Result<Option<u32>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let is_octal = text.bytes().all(|b| matches!(b, b'0'..=b'7'));
    let mode = is_octal
        .then(|| u32::from_str_radix(text, 8).ok())
        .flatten();
    match mode.filter(|mode| *mode <= 0o7777) {
        Some(mode) => Ok(Some(mode)),
        None => Err(format!(
            "`--chmod={}` is not a mode; hint: octal digits, `0755` or `644`",
            shown(text)
        )),
    }
}
