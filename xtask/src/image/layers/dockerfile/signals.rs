//! `STOPSIGNAL`: a number, or a name that Linux has.

use super::error::shown;

const NAMES: [&str; 36] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL",
    "PIPE", "POLL", "PROF", "PWR", "QUIT", "RTMAX", "RTMIN", "SEGV", "STKFLT", "STOP", "SYS",
    "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU",
    "XFSZ",
];

pub(super) fn check(text: &str) -> Result<(), String> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let is_real_time = |prefix: &str, most: u8| {
        let offset = name
            .strip_prefix(prefix)
            .and_then(|offset| offset.parse().ok());
        offset.is_some_and(|offset: u8| (1..=most).contains(&offset))
    };
    let is_known = match text.parse::<i32>() {
        Ok(number) => number != 0,
        Err(_) => NAMES.contains(&name) || is_real_time("RTMIN+", 15) || is_real_time("RTMAX-", 14),
    };
    match is_known {
        true => Ok(()),
        false => Err(format!(
            "`{}` is not a signal; hint: `SIGTERM`, `SIGQUIT` or a number",
            shown(text)
        )),
    }
}
