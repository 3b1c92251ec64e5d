//! `COPY` and `WORKDIR` give the files that BuildKit gives: `tests/data/copy-cases.txt` has what engine 28.5 made of
//! each case; 20.10 makes the same, except where a comment says so.

use std::collections::{BTreeMap, HashMap};

use super::*;

#[derive(Default)]
struct Case<'a> {
    name: &'a str,
    files: Vec<&'a str>,
    steps: Vec<&'a str>,
    expected: Vec<&'a str>,
    error: Option<&'a str>,
}

fn cases() -> Vec<Case<'static>> {
    let mut contexts: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut cases: Vec<Case> = Vec::new();
    let mut context = None;
    for line in include_str!("../../../../tests/data/copy-cases.txt").lines() {
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (first, cases.last_mut()) {
            ("" | "#", _) => {}
            ("context", _) => context = Some(rest),
            ("+", None) => contexts.entry(context.unwrap()).or_default().push(rest),
            ("case", _) => cases.push(Case {
                name: rest,
                ..Case::default()
            }),
            ("in", Some(case)) => case.files = contexts.get(rest).cloned().unwrap_or_default(),
            ("+", Some(case)) => case.files.push(rest),
            ("=", Some(case)) => case.expected.extend(Some(rest).filter(|it| !it.is_empty())),
            ("!", Some(case)) => case.error = Some(rest),
            (_, Some(case)) => case.steps.push(line),
            (_, None) => panic!("{line}"),
        }
    }
    cases
}

/// What an engine has after unpacking the layers one over the other.
fn unpacked(layers: &[BuiltLayer]) -> Vec<String> {
    let mut tree = BTreeMap::new();
    for layer in layers {
        for line in listed(&inflated(layer)) {
            let path = line.split('\t').nth(1).unwrap().to_owned();
            tree.insert(path, line);
        }
    }
    tree.into_values().collect()
}

#[test]
fn the_files_are_where_buildkit_puts_them() {
    let cases = cases();
    assert!(cases.len() > 80, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let root = context(&case.files);
        let result = planned(root.path(), &Origins::new(), &case.steps.join("\n"));
        let (actual, is_right) = match (&result, case.error) {
            (Err(error), Some(expected)) => {
                let text = error.to_string();
                let is_right = text.contains(expected);
                (vec![text], is_right)
            }
            (Err(error), None) => (vec![error.to_string()], false),
            (Ok(plan), _) => {
                let files = unpacked(&built(plan, Compression::default(), 1));
                let is_right = case.error.is_none() && files == case.expected;
                (files, is_right)
            }
        };
        if !is_right {
            wrong.push(format!(
                "{}:\n  {}\nis\n  {}\ninstead of\n  {}",
                case.name,
                case.steps.join("\n  "),
                actual.join("\n  "),
                case.error.map_or(case.expected.join("\n  "), str::to_owned),
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
