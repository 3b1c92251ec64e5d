//! One binary of integration tests: the modules under test against real servers.

mod extract;
mod github;
mod packages;
mod support;
