//! What can go wrong with a GitHub release. No variant holds the token or a URL's query.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{0}` is not a GitHub repository; hint: `owner/name`")]
    Repository(String),

    #[error(
        "`{0}` is not the address of a GitHub API; hint: https, plain http on this machine only"
    )]
    Api(String),

    #[error("GITHUB_TOKEN holds characters that no token has; hint: a line break at its end?")]
    Token,

    #[error("GITHUB_TOKEN was refused: {message}; hint: has it expired?")]
    TokenRefused { message: String },

    #[error(
        "GITHUB_TOKEN may not {what} in `{repository}`: {message}; hint: it needs the permission `contents: write`"
    )]
    Forbidden {
        what: &'static str,
        repository: String,
        message: String,
    },

    /// GitHub answers 404 also where a token may not see, or may only read.
    #[error(
        "cannot {what}: GITHUB_TOKEN cannot see `{repository}`, or only read it; hint: check the name and the token's \
         repositories"
    )]
    NotFound {
        what: &'static str,
        repository: String,
    },

    #[error("asset `{name}`: {reason}")]
    Asset { name: String, reason: String },

    #[error("cannot {what}: GitHub's rate limit is used up for {} s; hint: run again then", .wait.as_secs())]
    RateLimited { what: &'static str, wait: Duration },

    /// 422 with the code `already_exists`.
    #[error("cannot {what}: it exists already: {message}")]
    Exists { what: &'static str, message: String },

    #[error("cannot {what}: GitHub answered {status}: {message}")]
    Refused {
        what: &'static str,
        status: u16,
        message: String,
    },

    #[error("cannot {what}: GitHub cannot be reached: {reason}")]
    Unreachable { what: &'static str, reason: String },

    #[error("cannot {what}: GitHub's answer is not understood: {reason}")]
    Unexpected { what: &'static str, reason: String },

    #[error("cannot read `{}`", .path.display())]
    Io { path: PathBuf, source: io::Error },

    #[error("the release of `{tag}` is still a draft")]
    Unfinished { tag: String, source: Box<Error> },
}

impl Error {
    /// Whether a setting or an input is at fault: running again without a change would not help.
    pub fn is_input(&self) -> bool {
        match self {
            Error::Repository(_)
            | Error::Api(_)
            | Error::Token
            | Error::TokenRefused { .. }
            | Error::Forbidden { .. }
            | Error::NotFound { .. }
            | Error::Asset { .. } => true,
            Error::Unfinished { source, .. } => source.is_input(),
            _ => false,
        }
    }
}
