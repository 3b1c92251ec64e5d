//! One instruction as it is written, before its variables are expanded.

use super::copy::{self, CopyLine};
use super::durations;
use super::error::{nearest, shown};
use super::flags::{flag_name, flag_values};
use super::lines::Line;
use super::words::{Argument, Pair, json, pairs, plain, quoted};
use crate::image::layers::recipe::Healthcheck;

pub(super) enum Instruction {
    From(FromLine),
    Arg(Vec<Argument>),
    Copy(CopyLine),
    Workdir(String),
    Env(Vec<Pair>),
    Label(Vec<Pair>),
    User(String),
    Expose(Vec<String>),
    Volume(Vec<String>),
    Entrypoint(Command),
    Cmd(Command),
    Healthcheck(Healthcheck),
    StopSignal(String),
    Shell(Vec<String>),
    Maintainer(String),
    /// Only an engine does it; the sentence says what it does.
    Engine(String),
}

pub(super) struct FromLine {
    pub(super) base: String,
    /// In small letters.
    pub(super) name: Option<String>,
    pub(super) platform: Option<String>,
}

pub(super) enum Command {
    Exec(Vec<String>),
    /// For the shell of the stage.
    Shell(String),
}

/// Each instruction, and the flags that are known here.
const KNOWN: [(&str, &[&str]); 18] = [
    ("ADD", &["chown", "chmod", "link"]),
    ("ARG", &[]),
    ("CMD", &[]),
    ("COPY", &["from", "chown", "chmod", "link"]),
    ("ENTRYPOINT", &[]),
    ("ENV", &[]),
    ("EXPOSE", &[]),
    ("FROM", &["platform"]),
    (
        "HEALTHCHECK",
        &[
            "interval",
            "timeout",
            "start-period",
            "start-interval",
            "retries",
        ],
    ),
    ("LABEL", &[]),
    ("MAINTAINER", &[]),
    ("ONBUILD", &[]),
    ("RUN", &[]),
    ("SHELL", &[]),
    ("STOPSIGNAL", &[]),
    ("USER", &[]),
    ("VOLUME", &[]),
    ("WORKDIR", &[]),
];

/// Those that only an engine knows.
const ENGINES_FLAGS: &[&str] = &["checksum", "exclude", "keep-git-dir", "parents", "unpack"];

pub(super) fn parse(line: &Line, escape: char) -> Result<Instruction, String> {
    let is_meant = |(name, _): &&(&str, _)| line.keyword.eq_ignore_ascii_case(name);
    let Some((keyword, known)) = KNOWN.iter().find(is_meant) else {
        return Err(unknown(&line.keyword));
    };
    let needs_argument = || match line.rest.as_str() {
        "" => Err(format!("`{keyword}` without an argument")),
        rest => Ok(rest.to_owned()),
    };
    match *keyword {
        "RUN" => return Ok(Instruction::Engine("`RUN` runs a program".to_owned())),
        "ONBUILD" => {
            return Ok(Instruction::Engine(
                "`ONBUILD` is for the image that is built on this one".to_owned(),
            ));
        }
        _ => {}
    }
    let is_unknown = |flag: &&String| !known.contains(&flag_name(flag));
    if let Some(flag) = line.flags.iter().find(is_unknown) {
        let flag = shown(flag_name(flag));
        return match (*keyword, nearest(&flag, [*known, ENGINES_FLAGS].concat())) {
            ("FROM", _) => Err(format!("`FROM` has no flag `--{flag}`; hint: `--platform`")),
            (keyword, Some(meant)) if meant != flag => Err(format!(
                "`{keyword}` has no flag `--{flag}`; hint: `--{meant}`?"
            )),
            (keyword, _) => Ok(Instruction::Engine(format!(
                "`{keyword} --{flag}` is not known here"
            ))),
        };
    }
    Ok(match *keyword {
        "ADD" => copied(copy::parse("ADD", line)?),
        "COPY" => copied(copy::parse("COPY", line)?),
        "FROM" => Instruction::From(from(line)?),
        "ARG" => Instruction::Arg(arguments(&needs_argument()?, escape)?),
        "ENV" => Instruction::Env(pairs("ENV", &line.rest, escape)?),
        "LABEL" => Instruction::Label(pairs("LABEL", &line.rest, escape)?),
        "CMD" => Instruction::Cmd(command(&line.rest)?),
        "ENTRYPOINT" => Instruction::Entrypoint(command(&line.rest)?),
        "HEALTHCHECK" => Instruction::Healthcheck(healthcheck(line)?),
        "SHELL" => match json(&line.rest)? {
            Some(words) if !words.is_empty() => Instruction::Shell(words),
            _ => {
                return Err(
                    "`SHELL` takes a JSON list; hint: `SHELL [\"/bin/sh\", \"-c\"]`".to_owned(),
                );
            }
        },
        "EXPOSE" => {
            // In this order BuildKit writes them into the history.
            let mut ports = plain(&needs_argument()?);
            ports.sort();
            Instruction::Expose(ports)
        }
        "VOLUME" => {
            let text = needs_argument()?;
            let volumes = json(&text)?.unwrap_or_else(|| plain(&text));
            if volumes.is_empty() {
                return Err("`VOLUME` without a directory".to_owned());
            }
            let volumes = volumes.iter().map(|volume| volume.trim().to_owned());
            Instruction::Volume(volumes.collect())
        }
        "USER" => Instruction::User(needs_argument()?),
        "WORKDIR" => Instruction::Workdir(needs_argument()?),
        "STOPSIGNAL" => Instruction::StopSignal(needs_argument()?),
        _ => Instruction::Maintainer(needs_argument()?),
    })
}

fn unknown(keyword: &str) -> String {
    let keyword = shown(keyword);
    match nearest(&keyword, KNOWN.iter().map(|(name, _)| *name)) {
        Some(name) => format!("unknown instruction `{keyword}`; hint: `{name}`?"),
        None => format!(
            "unknown instruction `{keyword}`; hint: a line that goes on in the next one ends in a backslash"
        ),
    }
}

fn copied(parsed: copy::Parsed) -> Instruction {
    match parsed {
        copy::Parsed::Copy(line) => Instruction::Copy(line),
        copy::Parsed::Engine(reason) => Instruction::Engine(reason),
    }
}

fn from(line: &Line) -> Result<FromLine, String> {
    let words = plain(&line.rest);
    let name = match &words[..] {
        [_] => None,
        [_, keyword, name] if keyword.eq_ignore_ascii_case("as") => Some(stage_name(name)?),
        _ => {
            return Err(format!(
                "`FROM {}` is not understood; hint: `FROM image` or `FROM image AS name`",
                shown(&line.rest)
            ));
        }
    };
    Ok(FromLine {
        base: words.into_iter().next().unwrap_or_default(),
        name,
        platform: flag_values(line)?.remove("platform"),
    })
}

fn stage_name(name: &str) -> Result<String, String> {
    let lower = name.to_lowercase();
    let is_valid = lower.starts_with(|c: char| c.is_ascii_lowercase())
        && lower
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c));
    match is_valid {
        true => Ok(lower),
        false => Err(format!(
            "`{}` cannot name a stage; hint: a letter, then letters, digits, `-`, `_` and `.`",
            shown(name)
        )),
    }
}

fn arguments(text: &str, escape: char) -> Result<Vec<Argument>, String> {
    let argument = |word: String| match word.split_once('=') {
        Some(("", _)) => Err(format!("`{}` has no name before its `=`", shown(&word))),
        Some((name, value)) => Ok((name.to_owned(), Some(value.to_owned()))),
        None => Ok((word, None)),
    };
    quoted(text, escape).into_iter().map(argument).collect()
}

fn command(text: &str) -> Result<Command, String> {
    Ok(match json(text)? {
        Some(words) => Command::Exec(words),
        None => Command::Shell(text.to_owned()),
    })
}

fn healthcheck(line: &Line) -> Result<Healthcheck, String> {
    let (kind, rest) = match line.rest.split_once(char::is_whitespace) {
        Some((kind, rest)) => (kind, rest.trim_start()),
        None => (line.rest.as_str(), ""),
    };
    let hint = "hint: `HEALTHCHECK CMD command` or `HEALTHCHECK NONE`";
    let test = match (kind.to_ascii_uppercase().as_str(), command(rest)?) {
        ("NONE", Command::Shell(rest)) if rest.is_empty() => vec!["NONE".to_owned()],
        ("CMD", Command::Exec(words)) if !words.is_empty() => {
            ["CMD".to_owned()].into_iter().chain(words).collect()
        }
        ("CMD", Command::Shell(text)) if !text.is_empty() => vec!["CMD-SHELL".to_owned(), text],
        ("NONE", _) => return Err("`HEALTHCHECK NONE` takes no arguments".to_owned()),
        ("CMD", _) => return Err(format!("`HEALTHCHECK CMD` without a command; {hint}")),
        _ => {
            return Err(format!(
                "`HEALTHCHECK {}` is not known; {hint}",
                shown(kind)
            ));
        }
    };
    if test[0] == "NONE" {
        return Ok(Healthcheck {
            test,
            ..Healthcheck::default()
        });
    }
    let values = flag_values(line)?;
    let duration = |name: &str| match values.get(name).map_or("", String::as_str) {
        "" => Ok(0),
        value => durations::parse(value).map_err(|why| format!("`--{name}`: {why}")),
    };
    let retries = match values.get("retries").map_or("", String::as_str) {
        "" => 0,
        value => value
            .parse::<i32>()
            .ok()
            .and_then(|value| u64::try_from(value).ok())
            .ok_or_else(|| format!("`--retries={}` is not a number of retries", shown(value)))?,
    };
    Ok(Healthcheck {
        test,
        interval: duration("interval")?,
        timeout: duration("timeout")?,
        start_period: duration("start-period")?,
        start_interval: duration("start-interval")?,
        retries,
    })
}
