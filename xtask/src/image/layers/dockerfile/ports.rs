//! `EXPOSE`: `80`, `53/udp`, `8000-8010/tcp`.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::budget::Budget;
use super::error::shown;

/// `80/tcp` for each port that `text` names. Like Docker, takes the address and the port of a host before it
/// (`127.0.0.1:8080:80`) and exposes neither.
pub(super) fn parse(text: &str, budget: &mut Budget) -> Result<Vec<String>, String> {
    let problem = || {
        let text = shown(text);
        format!("`{text}` is not a port; hint: `80`, `53/udp` or `8000-8010`, at most 65535")
    };
    let mut parts = text.rsplitn(3, ':');
    let container = parts.next().unwrap_or_default();
    if let Some(host) = parts.next().filter(|host| !host.is_empty()) {
        range(host).ok_or_else(problem)?;
    }
    if let Some(address) = parts.next().filter(|address| !address.is_empty()) {
        let address = address.trim_start_matches('[').trim_end_matches(']');
        address.parse::<IpAddr>().map_err(|_| problem())?;
    }
    let (ports, protocol) = container.split_once('/').unwrap_or((container, ""));
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "" | "tcp" => "tcp",
        "udp" => "udp",
        "sctp" => "sctp",
        _ => {
            return Err(format!(
                "`{}`: a port is `/tcp`, `/udp` or `/sctp`",
                shown(text)
            ));
        }
    };
    let ports = range(ports).ok_or_else(problem)?;
    budget.spend(ports.len() * "65535/sctp".len())?;
    Ok(ports.map(|port| format!("{port}/{protocol}")).collect())
}

/// `80`, `8000-8010`.
fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some(first..=last)
}
