//! What the fuzz targets check, without a fuzzer: of each file of the corpora, and of variations of them that a seed
//! chooses. `FUZZ_SEED=7 FUZZ_RUNS=100000` before `cargo test` looks further.

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use xtask::fuzzing::{INPUTS, run};

/// Of each input: what all of them take together is some seconds.
const RUNS: u64 = 600;

/// No variation is larger, in bytes.
const LARGEST: usize = 16 << 10;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz")
        .join(name)
}

fn names(folder: &Path) -> BTreeSet<String> {
    let files = folder.read_dir().unwrap();
    let names = files.map(|it| it.unwrap().path().file_stem().unwrap().to_owned());
    names.map(|name| name.into_string().unwrap()).collect()
}

#[test]
fn every_input_has_a_target_and_a_corpus() {
    let inputs: BTreeSet<String> = INPUTS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(inputs.len(), INPUTS.len());
    assert_eq!(names(&folder("fuzz_targets")), inputs);
    assert_eq!(names(&folder("corpus")), inputs);
    for name in inputs {
        let target = fs::read_to_string(folder("fuzz_targets").join(format!("{name}.rs"))).unwrap();
        assert!(target.contains(&format!("run(\"{name}\", ")), "{target}");
    }
}

/// The corpus, then variations of it.
fn fuzz(name: &str) {
    let mut files: Vec<PathBuf> = folder("corpus")
        .join(name)
        .read_dir()
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    files.sort();
    let corpus: Vec<Vec<u8>> = files.iter().map(|path| fs::read(path).unwrap()).collect();
    for (path, data) in files.iter().zip(&corpus) {
        let ended = catch_unwind(|| run(name, data));
        assert!(ended.is_ok(), "{}: see above", path.display());
    }
    let seed = number("FUZZ_SEED").unwrap_or(1);
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    for number in 0..number("FUZZ_RUNS").unwrap_or(RUNS) {
        let data = random.variation(&corpus);
        let ended = catch_unwind(|| run(name, &data));
        let (length, shown) = (data.len(), data.escape_ascii());
        assert!(
            ended.is_ok(),
            "FUZZ_SEED={seed}, {name} {number}, {length} bytes, see above:\n{shown}"
        );
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect(variable))
}

/// xorshift64.
struct Random(u64);

/// What readers look at, and numbers around the limits of types.
const PIECES: [&[u8]; 24] = [
    b"\0",
    b"\n",
    b"\r\n",
    b"\"",
    b"\\",
    b"/",
    b"..",
    b"**",
    b"${",
    b"}",
    b"[",
    b"{",
    b":",
    b",",
    b"=",
    b"<",
    b"\xff",
    b"\xef\xbb\xbf",
    "é".as_bytes(),
    b"-1",
    b"4294967296",
    b"18446744073709551615",
    b"9223372036854775807",
    b"1e400",
];

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }

    /// One of the corpus, changed at a few places.
    fn variation(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut data = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(6) {
            let at = self.below(data.len() + 1);
            let end = at + self.below(1 + (data.len() - at).min(64));
            match self.below(8) {
                0 if at < data.len() => data[at] ^= 1 << self.below(8),
                1 if at < data.len() => data[at] = self.below(256) as u8,
                2 => drop(data.drain(at..end)),
                3 => data.insert(at, self.below(256) as u8),
                4 => drop(data.splice(at..at, PIECES[self.below(PIECES.len())].iter().copied())),
                5 => {
                    let part = data[at..end].repeat(1 + self.below(40));
                    drop(data.splice(at..end, part));
                }
                // The rest is another file's.
                6 => {
                    let other = &corpus[self.below(corpus.len())];
                    let from = self.below(other.len() + 1);
                    data.truncate(at);
                    data.extend_from_slice(&other[from..]);
                }
                _ => {
                    let numbers = [[0xff; 8], [0; 8], (1_u64 << self.below(64)).to_le_bytes()];
                    let number = numbers[self.below(3)];
                    let length = [1, 2, 4, 8][self.below(4)].min(data.len() - at);
                    data[at..at + length].copy_from_slice(&number[..length]);
                }
            }
            data.truncate(LARGEST);
        }
        data
    }
}

#[test]
fn reference() {
    fuzz("reference");
}

#[test]
fn manifest() {
    fuzz("manifest");
}

#[test]
fn challenge() {
    fuzz("challenge");
}

#[test]
fn link() {
    fuzz("link");
}

#[test]
fn docker_config() {
    fuzz("docker_config");
}

#[test]
fn sync() {
    fuzz("sync");
}

#[test]
fn dockerfile() {
    fuzz("dockerfile");
}

#[test]
fn dockerignore() {
    fuzz("dockerignore");
}

#[test]
fn zip_layer() {
    fuzz("zip_layer");
}
