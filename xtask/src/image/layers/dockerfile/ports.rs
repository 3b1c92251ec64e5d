//! `EXPOSE`: `80`, `53/udp`, `8000-8010/tcp`.

use super::budget::Budget;
use super::error::shown;

/// `80/tcp` for each port that `text` names. What is before a colon, an address or a port of the host, is checked by
/// nobody and exposed by nobody.
pub(super) fn parse(text: &str, budget: &mut Budget) -> Result<Vec<String>, String> {
    let problem = || {
        let text = shown(text);
        format!("`{text}` is not a port; hint: `80`, `53/udp` or `8000-8010`, at most 65535")
    };
    let container = text.rsplit(':').next().unwrap_or(text);
    let (range, protocol) = container.split_once('/').unwrap_or((container, ""));
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
    let number = |text: &str| text.parse::<u16>().map_err(|_| problem());
    let (first, last) = match range.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(range)?, number(range)?),
    };
    if first > last {
        return Err(problem());
    }
    budget.spend((usize::from(last) - usize::from(first) + 1) * "65535/sctp".len())?;
    Ok((first..=last)
        .map(|port| format!("{port}/{protocol}"))
        .collect())
}
