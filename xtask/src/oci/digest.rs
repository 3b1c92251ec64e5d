//! Content digests: `sha256:<64 hex>` and `sha512:<128 hex>`, and the hasher that makes them.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest as _, Sha256, Sha512};

use crate::foreign::Foreign;

/// A digest of a known algorithm and the right length (OCI image specification, "Digests"). Clones share their text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(Arc<str>);

/// Text that is not a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` is not a digest; hint: `sha256:` and 64 lower-case hexadecimal digits",
    Foreign::new(.0)
)]
pub struct DigestError(String);

impl Digest {
    /// The sha256 digest of `bytes`.
    pub fn sha256_of(bytes: &[u8]) -> Digest {
        let mut hasher = Hasher::sha256();
        hasher.update(bytes);
        hasher.finish()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `sha256` or `sha512`.
    pub fn algorithm(&self) -> &str {
        &self.0[..SHA256.len()]
    }

    /// The digits after the colon.
    pub fn hex(&self) -> &str {
        &self.0[SHA256.len() + 1..]
    }

    /// The tag that stands in for the referrers of this digest, and with which cosign's tags begin (distribution
    /// specification, "Referrers Tag Schema": of the hash at most 64 digits).
    pub fn tag_prefix(&self) -> String {
        format!("{}-{}", self.algorithm(), &self.hex()[..64])
    }

    /// A hasher of this digest's algorithm, to check content against it.
    pub fn hasher(&self) -> Hasher {
        if self.algorithm() == SHA512 {
            Hasher::Sha512(Sha512::new())
        } else {
            Hasher::sha256()
        }
    }

    /// The digest of `bytes` under the same algorithm.
    pub fn same_algorithm(&self, bytes: &[u8]) -> Digest {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        hasher.finish()
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let length = match text.split_once(':') {
            Some((SHA256, hex)) => hex.len() == 64,
            Some((SHA512, hex)) => hex.len() == 128,
            _ => false,
        };
        let hex = text.bytes().skip(SHA256.len() + 1);
        if length && hex.clone().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            Ok(Digest(text.into()))
        } else {
            Err(DigestError(text.to_owned()))
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Hashes content that arrives in chunks.
pub enum Hasher {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    pub fn sha256() -> Hasher {
        Hasher::Sha256(Sha256::new())
    }

    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Sha256(hasher) => hasher.update(bytes),
            Hasher::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// Hashes all that is left to read.
    pub fn read_all(&mut self, mut content: impl Read) -> io::Result<()> {
        let mut buffer = vec![0; 128 << 10];
        loop {
            match content.read(&mut buffer)? {
                0 => return Ok(()),
                length => self.update(&buffer[..length]),
            }
        }
    }

    pub fn finish(self) -> Digest {
        match self {
            Hasher::Sha256(hasher) => Digest(hex(SHA256, &hasher.finalize()).into()),
            Hasher::Sha512(hasher) => Digest(hex(SHA512, &hasher.finalize()).into()),
        }
    }
}

// Both have the same length, so the colon is always at the same position.
const SHA256: &str = "sha256";
const SHA512: &str = "sha512";

fn hex(algorithm: &str, bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    format!("{algorithm}:{}", digits.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn the_digest_of_nothing_is_the_well_known_one() {
        let digest = Digest::sha256_of(b"");
        assert_eq!(digest.as_str(), EMPTY);
        assert_eq!(digest.algorithm(), "sha256");
        assert_eq!(digest.hex().len(), 64);
        assert_eq!(EMPTY.parse(), Ok(digest));
    }

    #[test]
    fn sha512_is_hashed_with_sha512() {
        let digest: Digest = format!("sha512:{}", "0".repeat(128)).parse().unwrap();
        let of_abc = digest.same_algorithm(b"abc");
        assert!(of_abc.as_str().starts_with("sha512:ddaf35a193617aba"));
    }

    #[test]
    fn what_is_said_of_no_digest_is_one_line_of_bounded_length() {
        let error = "a\n\u{1b}[31m "
            .repeat(100_000)
            .parse::<Digest>()
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.len() < 2000 && !text.contains(char::is_control),
            "{text}"
        );
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "sha256",
            "sha256:",
            "sha256:abc",
            &EMPTY.to_uppercase(),
            &EMPTY.replace("sha256", "md5"),
            &EMPTY.replace('e', "g"),
            &format!("{EMPTY}0"),
            &format!("sha512:{}", "é".repeat(64)),
        ] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }
}
