//! What must hold of whatever others write: a function for each kind of input, which takes any bytes.
//!
//! Each checks what the rest of the program relies on, not only that nothing panics. `cargo fuzz` calls them with
//! inputs of its own making (`xtask/fuzz`), `tests/offline/fuzz.rs` with a corpus and with variations of it. The
//! program itself calls none of them.

mod headers;
mod logins;
mod names;
mod recipes;
mod repositories;
mod zips;

/// Panics if something does not hold of the bytes.
pub type Check = fn(&[u8]);

/// The functions, and the names of their targets and corpora.
pub const INPUTS: [(&str, Check); 9] = [
    ("reference", names::reference),
    ("manifest", names::manifest),
    ("challenge", headers::challenge),
    ("link", headers::link),
    ("docker_config", logins::docker_config),
    ("sync", repositories::sync),
    ("dockerfile", recipes::dockerfile),
    ("dockerignore", recipes::dockerignore),
    ("zip_layer", zips::zip_layer),
];

/// Runs the function of that name.
pub fn run(name: &str, data: &[u8]) {
    let input = INPUTS.iter().find(|(known, _)| *known == name);
    assert!(input.is_some(), "there is no input `{name}`");
    input.into_iter().for_each(|(_, check)| check(data));
}

/// What is said of an input that is refused: one line, which controls no terminal, of bounded length.
fn is_one_line(said: &str) {
    assert!(!said.contains(char::is_control), "{said:?}");
    assert!(
        said.chars().count() <= LONGEST_LINE,
        "{} characters",
        said.len()
    );
}

/// Some texts of others, and our words around them.
const LONGEST_LINE: usize = 2000;
