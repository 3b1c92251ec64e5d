//! The Dockerfile: read, asked whether it needs an engine, and evaluated for one platform.
//!
//! It is read as BuildKit reads it, so that what is made here is what an engine makes. Not by a crate: parse-dockerfile
//! 0.1.9 takes the body of `RUN cat <<EOF > file` for instructions, refuses `ENTRYPOINT []`, and leaves the words of
//! `ENV` and `ARG` and the continuations of a shell form to its caller.
//!
//! Whatever the text, reading and evaluating end in bounded time and memory.

mod budget;
mod copy;
mod durations;
mod error;
mod evaluate;
mod file;
mod flags;
mod go_format;
mod instruction;
mod lines;
mod paths;
mod platforms;
mod ports;
mod scope;
mod shell_pattern;
mod signals;
mod stages;
mod steps;
#[cfg(test)]
mod tests;
mod variables;
mod words;

pub use error::DockerfileError;
pub use file::Dockerfile;
pub use stages::EngineReason;
