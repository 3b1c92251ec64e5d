//! Paths of an image as text: joined and cleaned, never looked up.

/// The path without `.`, `..` and doubled slashes, from the root on; `/` at its end stays.
pub(super) fn clean(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let names_directory = path.ends_with('/') || path.ends_with("/.") || path == ".";
    let slash = if names_directory && !parts.is_empty() {
        "/"
    } else {
        ""
    };
    format!("/{}{slash}", parts.join("/"))
}

/// `path`, seen from the directory `from`.
pub(super) fn join(from: &str, path: &str) -> String {
    match path {
        "" => from.to_owned(),
        path if path.starts_with('/') => path.to_owned(),
        path => match clean(&format!("{from}/{path}")).trim_end_matches('/') {
            "" => "/".to_owned(),
            joined => joined.to_owned(),
        },
    }
}
