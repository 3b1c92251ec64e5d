//! Names of registry hosts.

use std::net::Ipv6Addr;

use super::error::ReferenceError;

/// Docker Hub, as references name it.
pub const DOCKER_HUB: &str = "docker.io";

/// `host` in the one spelling that is used for it; Docker Hub's own name is one of its aliases.
pub fn canonical_host(host: &str) -> Result<String, ReferenceError> {
    if !is_host(host) {
        return Err(ReferenceError::Host(host.to_owned()));
    }
    if let Some((address, port)) = ipv6(host) {
        return Ok(format!("[{address}]{port}"));
    }
    Ok(match host.to_ascii_lowercase().as_str() {
        "index.docker.io" | "registry-1.docker.io" => DOCKER_HUB.to_owned(),
        host => host.to_owned(),
    })
}

/// The same for all names of one registry: the usual names of this machine are, with one port, and a name with the
/// port of HTTPS and without it.
pub(super) fn one_name(host: &str) -> String {
    let host = host.strip_suffix(":443").unwrap_or(host);
    let mut names = ["localhost", "127.0.0.1", "[::1]"].into_iter();
    let port = names.find_map(|name| host.strip_prefix(name));
    match port.filter(|it| it.is_empty() || it.starts_with(':')) {
        Some(port) => format!("localhost{port}"),
        None => host.to_owned(),
    }
}

fn is_host(text: &str) -> bool {
    if text.starts_with('[') {
        return ipv6(text).is_some_and(|(_, port)| {
            port.is_empty() || port.strip_prefix(':').is_some_and(is_port)
        });
    }
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    let is_label = |label: &str| {
        let inside = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(inside)
    };
    name.split('.').all(is_label) && port.is_none_or(is_port)
}

/// The address in brackets, and what comes after it.
fn ipv6(host: &str) -> Option<(Ipv6Addr, &str)> {
    let (address, port) = host.strip_prefix('[')?.split_once(']')?;
    Some((address.parse().ok()?, port))
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}
