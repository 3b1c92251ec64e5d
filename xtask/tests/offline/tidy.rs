//! The rules of the house, read from the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Who may import whom: the last column of the table in `lib.rs`. A new arrow is a decision, written down there.
fn rules() -> BTreeMap<String, BTreeSet<String>> {
    let map =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let rows = map.lines().filter_map(|line| line.strip_prefix("//! | [`"));
    rows.map(|row| {
        let (module, row) = row.split_once("`]").unwrap();
        let imports = row.trim_end_matches(" |").rsplit(" |").next().unwrap();
        let imports = imports
            .split(',')
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty());
        (module.to_owned(), imports.collect())
    })
    .collect()
}

struct Source {
    /// `registry`, for every file below `registry/`.
    module: String,
    path: PathBuf,
    /// Without comments and without `#[cfg(test)]` modules.
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut open = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let relative = path.strip_prefix(&root).unwrap();
        let module = relative
            .iter()
            .next()
            .unwrap()
            .to_string_lossy()
            .trim_end_matches(".rs")
            .to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let code: Vec<&str> = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .collect();
        sources.push(Source {
            module,
            path,
            code: code.join("\n"),
        });
    }
    assert!(sources.len() > 20, "the sources were not found");
    sources
}

/// The modules that `code` names as `crate::name`.
fn imports(code: &str) -> BTreeSet<String> {
    let names = code.split("crate::").skip(1);
    names
        .map(|rest| {
            rest.chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect()
        })
        .collect()
}

#[test]
fn layers_point_one_way() {
    let rules = rules();
    for source in sources() {
        if matches!(source.module.as_str(), "lib" | "main") {
            continue;
        }
        let allowed = rules
            .get(&source.module)
            .unwrap_or_else(|| panic!("`lib.rs` has no row for `{}`", source.module));
        for import in imports(&source.code) {
            let is_own = import == source.module;
            assert!(
                is_own || allowed.contains(&import),
                "{}: `{}` must not import `{import}`",
                source.path.display(),
                source.module
            );
        }
    }
}

fn only_in(module: &str, needles: &[&str]) {
    for source in sources().iter().filter(|source| source.module != module) {
        for needle in needles {
            assert!(
                !source.code.contains(needle),
                "{}: `{needle}` belongs in `{module}`",
                source.path.display()
            );
        }
    }
}

#[test]
fn only_the_report_prints() {
    only_in(
        "report",
        &[
            "println!",
            "print!(",
            "eprint!(",
            "dbg!",
            "io::stdout",
            "io::stderr",
        ],
    );
}

#[test]
fn only_the_settings_read_the_environment() {
    only_in(
        "settings",
        &["env::var", "env::vars", "env!(\"HOME", "dotenvy"],
    );
}

#[test]
fn only_the_engine_names_bollard() {
    only_in("engine", &["bollard"]);
}

#[test]
fn every_file_says_what_it_is() {
    for source in sources() {
        let text = std::fs::read_to_string(&source.path).unwrap();
        assert!(
            text.starts_with("//! "),
            "{} does not open with a `//!` paragraph",
            source.path.display()
        );
        let lines = text.lines().count();
        assert!(
            lines <= 400,
            "{} has {lines} lines: look for the second idea",
            source.path.display()
        );
    }
}
