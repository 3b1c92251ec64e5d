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
        let imports = row.strip_suffix(" |").unwrap().rsplit(" |").next().unwrap();
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
    /// `["registry", "auth", "token"]`; a `mod.rs` is named for its directory.
    names: Vec<String>,
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
        let names = relative.with_extension("");
        let names = names
            .iter()
            .map(|name| name.to_string_lossy().into_owned())
            .filter(|name| name != "mod");
        sources.push(Source {
            module,
            names: names.collect(),
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

#[test]
fn every_arrow_is_used() {
    let sources = sources();
    for (module, allowed) in rules() {
        let own = sources.iter().filter(|source| source.module == module);
        let used: BTreeSet<String> = own.flat_map(|source| imports(&source.code)).collect();
        let unused: Vec<&String> = allowed.difference(&used).collect();
        assert!(
            unused.is_empty(),
            "`lib.rs` lets `{module}` import {unused:?}, which it does not"
        );
    }
}

/// The paths that `code` names, from `super` or `crate` on, without the groups' braces: `["super", "job", "Job"]`.
fn paths(code: &str) -> Vec<Vec<String>> {
    let tokens = tokens(code);
    let mut paths = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match tokens[at] {
            "super" | "crate" => at = path(&tokens, at, &[], &mut paths),
            _ => at += 1,
        }
    }
    paths
}

fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let length = match first {
            _ if is_name(first) => rest.find(|c| !is_name(c)).unwrap_or(rest.len()),
            _ if rest.starts_with("::") => 2,
            _ => first.len_utf8(),
        };
        if !first.is_whitespace() {
            tokens.push(&rest[..length]);
        }
        rest = &rest[length..];
    }
    tokens
}

/// Reads the path at `at`, and those of a group at its end; returns where it ends.
fn path(tokens: &[&str], mut at: usize, prefix: &[String], paths: &mut Vec<Vec<String>>) -> usize {
    let mut names = prefix.to_vec();
    loop {
        if tokens.get(at) == Some(&"{") {
            at += 1;
            while tokens.get(at).is_some_and(|token| *token != "}") {
                at = match tokens[at] {
                    "," => at + 1,
                    _ => path(tokens, at, &names, paths),
                };
            }
            return at + 1;
        }
        names.extend(tokens.get(at).map(|name| (*name).to_owned()));
        at += 1;
        if tokens.get(at) != Some(&"::") {
            // `name as other`
            if tokens.get(at) == Some(&"as") {
                at += 2;
            }
            paths.push(names);
            return at;
        }
        at += 1;
    }
}

/// The files of one room that each file of it imports. What a `mod.rs` exports stands for the file it is from.
fn arrows(room: &[&Source]) -> BTreeMap<Vec<String>, BTreeSet<Vec<String>>> {
    let files: BTreeSet<&Vec<String>> = room.iter().map(|source| &source.names).collect();
    let is_directory = |names: &[String]| {
        files
            .iter()
            .any(|file| file.len() > names.len() && file.starts_with(names))
    };
    let mut exported: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    for source in room.iter().filter(|source| is_directory(&source.names)) {
        for line in source.code.split(';') {
            let Some((_, list)) = line.split_once("use ") else {
                continue;
            };
            let mut found = Vec::new();
            path(&tokens(list), 0, &source.names, &mut found);
            for name in found {
                let alias = [&source.names[..], &name[name.len() - 1..]].concat();
                exported.insert(alias, name);
            }
        }
    }
    let resolve = |from: &[String], path: &[String]| {
        let mut names = match path[0].as_str() {
            "crate" => Vec::new(),
            _ => from[..from.len() - 1].to_vec(),
        };
        for name in &path[1..] {
            match name.as_str() {
                "super" => drop(names.pop()),
                name => names.push(name.to_owned()),
            }
        }
        // The longest beginning that is a file, after the names that a `mod.rs` exports.
        (1..=names.len()).rev().find_map(|length| {
            let names = &names[..length];
            let names = exported.get(names).map_or(names, Vec::as_slice);
            (1..=names.len())
                .rev()
                .map(|length| &names[..length])
                .find(|names| files.contains(&names.to_vec()) && !is_directory(names))
                .map(<[String]>::to_vec)
        })
    };
    let own = room.iter().filter(|source| !is_directory(&source.names));
    own.map(|source| {
        let targets = paths(&source.code)
            .iter()
            .filter_map(|path| resolve(&source.names, path))
            .filter(|target| *target != source.names)
            .collect();
        (source.names.clone(), targets)
    })
    .collect()
}

#[test]
fn no_files_of_a_room_import_each_other() {
    let sources = sources();
    let mut circles = Vec::new();
    for module in rules().keys() {
        let room: Vec<&Source> = sources.iter().filter(|it| it.module == *module).collect();
        let mut arrows = arrows(&room);
        // Files that import nothing of what is left, or that nothing of it imports, are in no circle.
        loop {
            let left: BTreeSet<Vec<String>> = arrows.keys().cloned().collect();
            let imported: BTreeSet<Vec<String>> = arrows.values().flatten().cloned().collect();
            arrows.retain(|file, targets| {
                imported.contains(file) && targets.iter().any(|target| left.contains(target))
            });
            if arrows.len() == left.len() {
                break;
            }
        }
        for (file, targets) in &arrows {
            let among: Vec<String> = targets
                .iter()
                .filter(|target| arrows.contains_key(*target))
                .map(|target| target.join("::"))
                .collect();
            circles.push(format!("{} imports {}", file.join("::"), among.join(", ")));
        }
    }
    assert!(circles.is_empty(), "circles:\n{}", circles.join("\n"));
}

#[test]
fn comments_end_at_column_120() {
    for source in sources() {
        let text = std::fs::read_to_string(&source.path).unwrap();
        for (number, line) in text.lines().enumerate() {
            let is_long = line.trim_start().starts_with("//") && line.chars().count() > 120;
            assert!(
                !is_long || line.contains("| "),
                "{}:{}: longer than 120 columns",
                source.path.display(),
                number + 1
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

#[test]
fn the_architecture_names_files_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("../ARCHITECTURE.md")).unwrap();
    let named = text.split('`').skip(1).step_by(2);
    // `[::1]` is none.
    let named = named.filter(|it| !it.contains('['));
    let mut count = 0;
    for file in named.filter(|name| name.ends_with(".rs") && name.contains('/')) {
        let below = ["src", ".."].map(|folder| root.join(folder).join(file));
        assert!(
            below.iter().any(|path| path.is_file()),
            "ARCHITECTURE.md names `{file}`, which is not there"
        );
        count += 1;
    }
    assert!(count > 30, "the files were not found");
}

#[test]
fn the_page_on_reliability_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("../docs/reliability.md")).unwrap();
    let named = text.split('`').skip(1).step_by(2);
    // `[::1]` is none.
    let named = named.filter(|it| !it.contains('['));
    let mut count = 0;
    for (file, test) in named.filter_map(|name| name.rsplit_once("::")) {
        let file = format!("{}.rs", file.replace("::", "/"));
        let places = ["tests/offline", "tests/real", "src"].map(|it| root.join(it).join(&file));
        let mut sources = places
            .iter()
            .filter_map(|it| std::fs::read_to_string(it).ok());
        assert!(
            sources.any(|source| is_test(&source, test)),
            "docs/reliability.md names `{test}` of `{file}`, which is no test there"
        );
        count += 1;
    }
    assert!(count > 100, "the tests were not found");
}

/// Whether a function of this name has an attribute that makes it a test.
fn is_test(source: &str, name: &str) -> bool {
    let attributes = source
        .split_once(&format!("fn {name}("))
        .map(|(before, _)| before.rsplit("}\n").next().unwrap_or_default());
    attributes.is_some_and(|it| it.contains("#[test]") || it.contains("#[tokio::test"))
}

#[test]
fn a_function_is_no_test() {
    let source =
        "#[test]\nfn one() {\n}\n\nfn two() {\n}\n\n#[tokio::test]\nasync fn three() {\n}\n";
    let tests = ["one", "two", "three", "four"].map(|it| is_test(source, it));
    assert_eq!(tests, [true, false, true, false]);
}
